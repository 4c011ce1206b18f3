"""Virtual KITTI 2: five rendered drives in ten variations, with exact metric depth and cameras.

The archives hold ``Scene01/...`` without a folder around it, so there is one merged tree or a folder per archive::

    [vkitti_2.0.3_rgb/]    Scene01/clone/frames/rgb/Camera_0/rgb_00000.jpg
    [vkitti_2.0.3_depth/]  Scene01/clone/frames/depth/Camera_0/depth_00000.png
    [vkitti_2.0.3_textgt/] Scene01/clone/{extrinsic,intrinsic}.txt

Extrinsics are world-to-camera, OpenCV axes, metres. The principal point (620.5, 187) of 1242x375 pictures counts from
the centre of the first pixel: half a pixel is added. Depth is 16-bit in centimetres, 65535 = sky. There is no official
split; Scene20 is held out with all its variations, which share its trajectory.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from gen3r.data.clip import Split
from gen3r.data.converters.side_files import (
    as_pose,
    brief,
    estimated_bytes,
    is_rigid,
    numbered_pictures,
    picture_size,
    plain_name,
    read_grey16,
    read_text,
)
from gen3r.data.converting.raw import (
    ConvertOptions,
    Findings,
    Found,
    Problem,
    RawCamera,
    RawFrame,
    RawScene,
    UnusableScene,
)

CAMERAS = ("Camera_0", "Camera_1")
HELD_OUT = ("Scene20",)
_CENTIMETRE = 0.01
_SKY = 65535
_LABELS = {
    "fog": {"weather": "foggy"},
    "rain": {"weather": "rainy"},
    "overcast": {"weather": "overcast"},
    "morning": {"time of day": "morning"},
    "sunset": {"time of day": "sunset"},
}


class VirtualKitti:
    """Reads Virtual KITTI 2."""

    name = "vkitti"
    licence = "CC-BY-NC-SA-3.0"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """One scene per drive, variation and camera.

        Raises:
            ValueError: if there are no pictures of this dataset, or a camera is asked for that it does not have.
        """
        cameras = _chosen(options.cameras)
        roots = _roots(source)
        places = sorted({path.relative_to(root) for root in roots for path in root.glob("Scene*/*/frames/rgb")})
        if not places:
            raise ValueError(
                f"{source} is no Virtual KITTI 2: expected Scene01/clone/frames/rgb/Camera_0/ there or one folder "
                "below. Unpack vkitti_2.0.3_rgb.tar, _depth.tar and _textgt.tar, each into its own folder or all "
                "into one."
            )
        scenes: list[Found] = []
        problems: list[Problem] = []
        for place in places:
            drive, variation = place.parts[:2]
            missing = [name for name in ("extrinsic.txt", "intrinsic.txt") if not _at(roots, drive, variation, name)]
            if missing:
                reason = f"{' and '.join(missing)} not found; unpack vkitti_2.0.3_textgt.tar beside it"
                problems.append(Problem(place=f"{drive}/{variation}", reason=reason))
                continue
            for camera in cameras:
                folder = _at(roots, drive, variation, "frames", "rgb", camera)
                pictures = numbered_pictures(folder) if folder else {}
                if not pictures:
                    reason = "there are no pictures"
                    problems.append(Problem(place=f"{drive}/{variation}/frames/rgb/{camera}", reason=reason))
                    continue
                split: Split = "held-out" if drive in HELD_OUT else "train"
                scenes.append(
                    Found(
                        name=plain_name(drive, variation, camera),
                        place=f"{drive}/{variation}/{camera}",
                        split=split,
                        frames=len(pictures),
                        size=estimated_bytes(pictures.values()),
                    )
                )
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Describe one scene.

        Raises:
            UnusableScene: for unreadable camera files, or if no frame has picture, intrinsics and extrinsics.
        """
        drive, variation, camera = Path(found.place).parts
        roots = _roots(source)
        rows = {}
        notes: list[str] = []
        for name, numbers in (("intrinsic.txt", 4), ("extrinsic.txt", 16)):
            path = _at(roots, drive, variation, name)
            if path is None:
                raise UnusableScene(f"{name} is not there.")
            rows[name], bad = _camera_rows(path, CAMERAS.index(camera), numbers)
            notes += bad
        folders = {kind: _at(roots, drive, variation, "frames", kind, camera) for kind in ("rgb", "depth")}
        pictures, depths = (numbered_pictures(path) if path else {} for path in folders.values())
        poses = {frame: as_pose(row) for frame, row in rows["extrinsic.txt"].items()}
        ids = [frame for frame in pictures if frame in rows["intrinsic.txt"] and frame in poses]
        ids = [frame for frame in ids if is_rigid(poses[frame])]
        if not ids:
            raise UnusableScene("no frame has a picture, intrinsics and extrinsics.")
        left_out = sorted((pictures.keys() | poses.keys()) - set(ids))
        if left_out:
            notes.append(f"frames without picture or camera: {brief(left_out)}")
        height, width = picture_size(pictures[frame] for frame in ids)
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="metric",
            frames=tuple(
                RawFrame(
                    picture=pictures[frame],
                    camera=RawCamera(
                        intrinsics=_intrinsics(rows["intrinsic.txt"][frame]),
                        world_from_camera=np.linalg.inv(poses[frame]),
                        height=height,
                        width=width,
                    ),
                    depth=partial(_read_depth, depths[frame]) if frame in depths else None,
                )
                for frame in ids
            ),
            labels={"category": "street", **_LABELS.get(variation, {})},
            notes=tuple(notes),
        )


def _chosen(cameras: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(camera if camera in CAMERAS else f"Camera_{camera}" for camera in cameras) or CAMERAS
    unknown = [camera for camera in chosen if camera not in CAMERAS]
    if unknown:
        raise ValueError(f"Virtual KITTI 2 has the cameras {' and '.join(CAMERAS)}, got {brief(unknown)}.")
    return chosen


def _roots(source: Path) -> tuple[Path, ...]:
    """Folders that hold ``Scene..`` folders: the source, and what lies directly in it."""
    below = sorted(path for path in source.iterdir() if path.is_dir()) if source.is_dir() else []
    return (source, *(path for path in below if any(path.glob("Scene*"))))


def _at(roots: tuple[Path, ...], *parts: str) -> Path | None:
    """The first of the places where a file or folder may be that exists."""
    return next((path for root in roots if (path := root.joinpath(*parts)).exists()), None)


def _camera_rows(path: Path, camera: int, numbers: int) -> tuple[dict[int, Float64[np.ndarray, " N"]], tuple[str, ...]]:
    """The rows of one camera by frame: lines are frame, camera and ``numbers`` more; both cameras take turns."""
    rows: dict[int, np.ndarray] = {}
    bad: list[int] = []
    for number, line in enumerate(read_text(path).splitlines()[1:], start=2):
        words = line.split()
        try:
            values = np.array([float(word) for word in words])
        except ValueError:
            values = np.zeros(0)
        if len(values) != numbers + 2 or not np.isfinite(values).all():
            bad += [number] if words else []
        elif int(values[1]) == camera:
            rows[int(values[0])] = values[2:]
    return rows, (f"{path.name}: damaged lines {brief(bad)}",) if bad else ()


def _intrinsics(row: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, "3 3"]:
    fx, fy, cx, cy = row
    return np.array([[fx, 0.0, cx + 0.5], [0.0, fy, cy + 0.5], [0.0, 0.0, 1.0]])


def _read_depth(path: Path) -> Float32[np.ndarray, "H W"]:
    steps = read_grey16(path)
    return np.where(steps == _SKY, 0.0, steps * _CENTIMETRE).astype(np.float32)


CONVERTER = VirtualKitti()
