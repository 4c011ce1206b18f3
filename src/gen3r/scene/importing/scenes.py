"""Scenes from pictures, cameras, and depth or points that are known already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import unproject
from gen3r.scene.crop import CoverCrop
from gen3r.scene.export.frames_png import IMAGES_FOLDER
from gen3r.scene.images import LoadedImages, list_folder, read_images
from gen3r.scene.importing.cameras import find_cameras
from gen3r.scene.importing.depth import fit_depth, read_depth_png
from gen3r.scene.importing.points import check_points, depth_of_points, read_ply_points
from gen3r.scene.importing.track import CameraTrack, ReadOptions
from gen3r.scene.json_files import read_json_object
from gen3r.scene.limits import evenly_spread
from gen3r.scene.scene import RECORD_FILE, Scene

PICTURE_FOLDERS = (IMAGES_FOLDER, "frames")
"""Where pictures are looked for that the cameras do not name: others' name, and that of our clips."""
DEPTH_FOLDER = "depth"
CLOUD_FILES = ("points.ply", "sparse_pc.ply")


def scene_from_depth(
    rgb: UInt8[Tensor, "F H W 3"],
    cameras: Cameras,
    depth: Float[Tensor, "F H W"],
    provenance: Mapping[str, Any] | None = None,
) -> Scene:
    """A scene of known depth: confidence is 1 wherever there is a surface, and points are depth lifted by the cameras.

    Args:
        rgb: sRGB, 0..255.
        cameras: one per frame, of the size of the pictures.
        depth: z-depth, scene units; 0, negative, NaN or infinite where there is no surface.
    """
    cameras = cameras.to(dtype=torch.float32)
    mask = torch.isfinite(depth) & (depth > 0)
    depth = torch.where(mask, depth, 0.0).float()
    return Scene(
        rgb=rgb,
        depth=depth,
        confidence=mask.float(),
        points=torch.where(mask[..., None], unproject(depth, cameras), 0.0),
        mask=mask,
        cameras=cameras,
        provenance=dict(provenance or {}),
    )


def scene_from_points(
    rgb: UInt8[Tensor, "F H W 3"],
    cameras: Cameras,
    points: Float[Tensor, "N 3"],
    provenance: Mapping[str, Any] | None = None,
) -> Scene:
    """A scene whose depth is a known point cloud seen by its cameras, see `depth_of_points`.

    Args:
        points: world points in the world and unit of the cameras.
    """
    seen = depth_of_points(points.float(), cameras.to(dtype=torch.float32))
    return scene_from_depth(rgb, cameras, seen, provenance)


def read_scene(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    max_frames: int | None = None,
    depth_scale: float | None = None,
    options: ReadOptions | None = None,
) -> Scene:
    """Read pictures, cameras, and depth or points of a folder that another program made.

    Cameras are whatever `find_cameras` knows. Pictures are those that the cameras' file names, else those of `images`
    or `frames` in natural order. Depth are the 16-bit pictures that it names, else depth/NAME.png for every picture
    NAME; without them, the points of the COLMAP model, of the PLY that a transforms.json names, or of points.ply
    are projected. The first camera becomes the world.

    Args:
        path: the folder, or the file of the cameras in it.
        size: (height, width) to bring everything to by cover-resize and centre crop; left out, the pictures' own.
        max_frames: take at most this many frames, evenly spread.
        depth_scale: scene units per step of the depth pictures. Left out, what they say themselves, then what
            their file or its format says (nerfstudio: 0.001), then scene.json.
        options: what to take for granted about the cameras.

    Raises:
        ValueError: with the path and what to do, for anything that is missing, damaged or does not fit together.
    """
    path = Path(path)
    item, found = find_cameras(path)
    track = item.read(found, options or ReadOptions())
    root = path if path.is_dir() else path.parent
    pictures = track.pictures or _pictures(path, root, len(track.cameras))
    depths = track.depths or tuple(root / DEPTH_FOLDER / f"{picture.stem}.png" for picture in pictures)
    has_depth = bool(track.depths) or all(file.is_file() for file in depths)
    points = None if has_depth else _points(root, track)
    chosen = evenly_spread(len(track.cameras), max_frames)
    loaded = read_images([pictures[i] for i in chosen], size=size)
    cameras = track.cameras.to(dtype=torch.float64)[chosen]
    world = cameras.extrinsics[0]
    cameras = _fitted(path, cameras.rebased(), loaded.crops)
    rgb = (loaded.images * 255).round().byte().movedim(1, -1).contiguous()
    depth_from = "pictures" if points is None else "projected points"
    settings = {"source": path.resolve().name, "cameras": item.name, "depth": depth_from}
    provenance = {"kind": "imported", "settings": settings}
    if points is not None:
        return scene_from_points(rgb, cameras, points @ world[:3, :3].T + world[:3, 3], provenance)
    default = track.depth_scale if track.depths else _recorded_scale(root)
    depth = _depth([depths[i] for i in chosen], loaded, depth_scale, default)
    return scene_from_depth(rgb, cameras, depth, provenance)


def _pictures(path: Path, root: Path, count: int) -> tuple[Path, ...]:
    folder = next((root / name for name in PICTURE_FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        raise ValueError(
            f"{path} holds cameras alone, which are no scene: they name no pictures. Put one per camera into "
            f"{root / IMAGES_FOLDER}, and depth or points beside them; gen3r generate --cameras follows a path."
        )
    pictures = tuple(list_folder(folder))
    if len(pictures) != count:
        raise ValueError(f"{folder} holds {len(pictures)} pictures for {count} cameras; there must be one of each.")
    return pictures


def _points(root: Path, track: CameraTrack) -> Tensor:
    if track.points is not None and len(track.points):
        return check_points(root, track.points)
    if track.cloud is not None:
        return read_ply_points(track.cloud) * track.cloud_scale
    for name in CLOUD_FILES:
        if (root / name).is_file():
            return read_ply_points(root / name)
    raise ValueError(
        f"{root} has pictures and cameras, but no depth (16-bit PNGs in {DEPTH_FOLDER}) and no points "
        f"({' or '.join(CLOUD_FILES)}, or those of a COLMAP model); gen3r reconstruct makes depth from pictures alone."
    )


def _fitted(path: Path, cameras: Cameras, crops: Sequence[CoverCrop]) -> Cameras:
    """The cameras of the pictures after resize and crop, whatever resolution the cameras were made at."""
    sizes = {(crop.source_height, crop.source_width) for crop in crops}
    height, width = next(iter(sizes))
    same_shape = abs(width * cameras.height - height * cameras.width) <= 0.01 * width * cameras.height
    if len(sizes) > 1 or not same_shape:
        listed = ", ".join(f"{h}x{w}" for h, w in sorted(sizes)[:4])
        raise ValueError(
            f"{path}: the cameras are for pictures of {cameras.height}x{cameras.width}, but these are {listed} (HxW); "
            "pictures may be larger or smaller, but must show the same."
        )
    crop = crops[0]
    resized = cameras.resize(crop.resized_height, crop.resized_width)
    return resized.crop(crop.top, crop.left, crop.height, crop.width)


def _depth(
    files: Sequence[Path], loaded: LoadedImages, scale: float | None, default_scale: float | None
) -> Float32[Tensor, "F H W"]:
    depths = [
        fit_depth(file, read_depth_png(file, scale=scale, default_scale=default_scale), crop)
        for file, crop in zip(files, loaded.crops, strict=True)
    ]
    return torch.stack(depths)


def _recorded_scale(root: Path) -> float | None:
    """The scale in the scene.json of a scene or a clip beside the pictures, if there is one."""
    if not (root / RECORD_FILE).is_file():
        return None
    record = read_json_object(root / RECORD_FILE)
    pictures = record.get("depth_png")
    scale = pictures.get("scale") if isinstance(pictures, dict) else record.get("depth_scale")
    return float(scale) if isinstance(scale, int | float) else None
