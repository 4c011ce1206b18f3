"""Writes COLMAP projects byte by byte: w2c quaternions, any camera model, images in no order."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from data.converters.fixture import DrawnScene
from data.converters.raw_transforms import Bend, brown, fisheye, lens_pixels, write_pictures

MODELS: Mapping[str, tuple[int, Callable[..., Bend]]] = {
    "SIMPLE_PINHOLE": (0, brown),
    "PINHOLE": (1, brown),
    "SIMPLE_RADIAL": (2, brown),
    "RADIAL": (3, brown),
    "OPENCV": (4, brown),
    "OPENCV_FISHEYE": (5, fisheye),
}
"""Number in the files, and what the extra parameters do."""
ONE_FOCAL_LENGTH = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A camera model with its parameters beyond focal lengths and principal point."""

    name: str = "PINHOLE"
    extra: tuple[float, ...] = ()

    @property
    def bend(self) -> Bend:
        """What it does to normalised coordinates."""
        return MODELS[self.name][1](*self.extra)

    def parameters(self, scene: DrawnScene) -> list[float]:
        """In the order of the files."""
        focal = [scene.intrinsics[0, 0]] if self.name in ONE_FOCAL_LENGTH else list(np.diag(scene.intrinsics)[:2])
        return [*focal, *scene.intrinsics[:2, 2], *self.extra]


def write_colmap(
    project: Path,
    scene: DrawnScene,
    model: Model | None = None,
    *,
    text: bool = False,
    sparse: str = "sparse/0",
    names: Sequence[str] | None = None,
    inverted: bool = False,
) -> Path:
    """A project with images and a sparse model; returns its folder. ``inverted`` writes camera-to-world poses."""
    model = model or Model()
    names = list(names or [f"{frame + 1:03d}.jpg" for frame in range(scene.frames)])
    for name in names:
        (project / "images" / name).parent.mkdir(parents=True, exist_ok=True)
    write_pictures(project / "images", scene, names, model.bend, quality=95, subsampling=0)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [10, 200, -35], degrees=True).as_matrix()
    turn[:3, 3] = [1, -2, 0.5]
    poses = [turn @ pose for pose in scene.world_from_camera]
    poses = poses if inverted else [np.linalg.inv(pose) for pose in poses]
    folder = project / sparse
    folder.mkdir(parents=True)
    ids = np.random.default_rng(1).permutation(scene.frames) + 1
    keypoints = [lens_pixels(scene, frame, model.bend) for frame in range(scene.frames)]
    points = scene.points @ turn[:3, :3].T + turn[:3, 3]
    write = _write_text if text else _write_binary
    write(folder, scene, model, ids, names, poses, keypoints, points)
    return project


def _quaternion(pose: np.ndarray) -> list[float]:
    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
    return [w, x, y, z]


def _write_binary(folder, scene, model, ids, names, poses, keypoints, points) -> None:
    number = MODELS[model.name][0]
    parameters = model.parameters(scene)
    camera = struct.pack("<QiiQQ", 1, 1, number, scene.width, scene.height) + np.array(parameters, "<f8").tobytes()
    (folder / "cameras.bin").write_bytes(camera)
    images = struct.pack("<Q", len(names))
    for frame in np.argsort(ids):
        pose = poses[frame]
        images += struct.pack("<i7di", ids[frame], *_quaternion(pose), *pose[:3, 3], 1)
        images += names[frame].encode() + b"\0" + struct.pack("<Q", len(points))
        for index, (x, y) in enumerate(keypoints[frame]):
            images += struct.pack("<ddq", x, y, index + 1)
    (folder / "images.bin").write_bytes(images)
    content = struct.pack("<Q", len(points))
    for index, (point, color) in enumerate(zip(points, scene.colors, strict=True)):
        content += struct.pack("<Q3d3Bd", index + 1, *point, *map(int, color), 0.1)
        content += struct.pack("<Q", len(ids)) + b"".join(struct.pack("<ii", number, index) for number in ids)
    (folder / "points3D.bin").write_bytes(content)


def _write_text(folder, scene, model, ids, names, poses, keypoints, points) -> None:
    numbers = " ".join(repr(float(value)) for value in model.parameters(scene))
    (folder / "cameras.txt").write_text(f"# cameras\n1 {model.name} {scene.width} {scene.height} {numbers}\n")
    lines = []
    for frame in np.argsort(ids):
        pose = [repr(float(value)) for value in (*_quaternion(poses[frame]), *poses[frame][:3, 3])]
        lines.append(f"{ids[frame]} {' '.join(pose)} 1 {names[frame]}")
        lines.append(" ".join(f"{float(x)!r} {float(y)!r} {i + 1}" for i, (x, y) in enumerate(keypoints[frame])))
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    rows = []
    for index, (point, color) in enumerate(zip(points, scene.colors, strict=True)):
        track = " ".join(f"{number} {index}" for number in ids)
        place = " ".join(repr(float(value)) for value in point)
        rows.append(f"{index + 1} {place} {' '.join(map(str, color))} 0.1 {track}")
    (folder / "points3D.txt").write_text("\n".join(rows) + "\n")
