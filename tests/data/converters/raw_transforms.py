"""Writes transforms.json of nerfstudio's kind by the formulas of OpenCV's lenses: what several datasets share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene

Bend = Callable[[np.ndarray], np.ndarray]
"""Normalised pinhole coordinates [N,2] to those of the lens."""


def brown(k1: float = 0, k2: float = 0, p1: float = 0, p2: float = 0, k3: float = 0) -> Bend:
    """Radial and tangential distortion."""

    def bend(points: np.ndarray) -> np.ndarray:
        x, y = points.T
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        return np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=1,
        )

    return bend


def fisheye(k1: float = 0, k2: float = 0, k3: float = 0, k4: float = 0) -> Bend:
    """The equidistant lens with its polynomial of the angle."""

    def bend(points: np.ndarray) -> np.ndarray:
        radius = np.linalg.norm(points, axis=1, keepdims=True)
        angle = np.arctan(radius)
        bent = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8)
        return points * np.where(radius > 1e-9, bent / np.maximum(radius, 1e-9), 1)

    return bend


def lens_pixels(scene: DrawnScene, frame: int, bend: Bend) -> np.ndarray:
    """Where the lens puts the points, [10,2]."""
    seen = scene.camera_points(frame)
    bent = bend(seen[:, :2] / seen[:, 2:])
    return bent @ scene.intrinsics[:2, :2].T + scene.intrinsics[:2, 2]


def opengl_poses(scene: DrawnScene) -> np.ndarray:
    """Camera-to-world with x right, y up, z back, in a world that someone turned and moved."""
    turn = np.array([[1.0, 0, 0, 3], [0, 0, 1, -2], [0, -1, 0, 1], [0, 0, 0, 1]])
    poses = turn @ scene.world_from_camera
    poses[:, :3, 1:3] *= -1
    return poses


def write_pictures(folder: Path, scene: DrawnScene, names: list[str], bend: Bend | None = None, **save: Any) -> None:
    """One picture per frame, of the size of ``scene``."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame, name in enumerate(names):
        pixels = lens_pixels(scene, frame, bend or brown())
        Image.fromarray(scene.draw(frame, pixels)).save(folder / name, **save)


def transforms(
    scene: DrawnScene,
    files: list[str],
    *,
    size: tuple[int, int] | None = None,
    poses: np.ndarray | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of a transforms.json.

    Args:
        scene: as it is drawn.
        files: of each frame.
        size: (height, width) that the intrinsics are written for; the scene's own if left out.
        poses: to write in place of the right ones.
        more: further keys of the file.
    """
    height, width = size or (scene.height, scene.width)
    x, y = width / scene.width, height / scene.height
    matrices = opengl_poses(scene) if poses is None else poses
    return {
        "w": width,
        "h": height,
        "fl_x": scene.intrinsics[0, 0] * x,
        "fl_y": scene.intrinsics[1, 1] * y,
        "cx": scene.intrinsics[0, 2] * x,
        "cy": scene.intrinsics[1, 2] * y,
        **(more or {}),
        "frames": [
            {"file_path": file, "transform_matrix": pose.tolist()} for file, pose in zip(files, matrices, strict=True)
        ],
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
