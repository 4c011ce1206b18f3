"""Cameras from whatever file or folder holds them."""

from __future__ import annotations

from pathlib import Path

from gen3r.cameras.cameras import Cameras
from gen3r.extras import PYCOLMAP
from gen3r.scene.importing import cameras_json, nerfstudio, tum
from gen3r.scene.importing.track import CameraFormat, CameraTrack, ReadOptions

_COLMAP_FILES = ("cameras", "images")


def _find_colmap(path: Path) -> Path | None:
    """The folder of the model: the one given, its sparse/0 or sparse, or that of a model's file."""
    folders = (path, path / "sparse" / "0", path / "sparse")
    if path.is_file() and path.suffix in (".bin", ".txt") and path.stem in (*_COLMAP_FILES, "points3D"):
        folders = (path.parent,)
    for folder in folders:
        if any(all((folder / f"{name}{suffix}").is_file() for name in _COLMAP_FILES) for suffix in (".bin", ".txt")):
            return folder
    return None


def _read_colmap(path: Path, options: ReadOptions) -> CameraTrack:
    PYCOLMAP.require("reading a COLMAP model")
    from gen3r.scene.importing import colmap

    return colmap.read(path, options)


CAMERA_FORMATS = (
    CameraFormat(name="transforms.json", find=nerfstudio.find, read=nerfstudio.read),
    CameraFormat(name="cameras.json", find=cameras_json.find, read=cameras_json.read),
    CameraFormat(name="COLMAP model", find=_find_colmap, read=_read_colmap),
    CameraFormat(name="TUM trajectory", find=tum.find, read=tum.read),
)
"""Tried in this order: a folder with several kinds is what the first of them says."""


def find_cameras(path: str | Path) -> tuple[CameraFormat, Path]:
    """Which kind of cameras `path` holds, told by content, and the file or folder to read.

    Raises:
        ValueError: if there is nothing at the path, or no cameras that are known.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"expected cameras, but there is nothing at {path}; check the path.")
    for item in CAMERA_FORMATS:
        found = item.find(path)
        if found is not None:
            return item, found
    raise ValueError(
        f"{path} holds no cameras that are known; expected a cameras.json, a transforms.json, a TUM trajectory (eight "
        "numbers a line), or a folder with one of the first two or with COLMAP's cameras and images (.bin or .txt)."
    )


def read_track(path: str | Path, options: ReadOptions | None = None) -> CameraTrack:
    """Cameras and what their file knows about pictures, depth and points.

    Raises:
        ValueError: as `find_cameras`, and with the path for everything that cannot be used.
    """
    item, found = find_cameras(path)
    return item.read(found, options or ReadOptions())


def read_any_cameras(path: str | Path, options: ReadOptions | None = None) -> Cameras:
    """Cameras [F], CPU, float64 where the file has it: OpenCV axes, world-to-camera, in the file's world and unit.

    Args:
        path: a cameras.json (our own or official), a COLMAP folder (itself or its sparse/0; text or binary), a
            nerfstudio transforms.json or the folder of one, or a TUM trajectory.

    Raises:
        ValueError: see `read_track`.
    """
    return read_track(path, options).cameras
