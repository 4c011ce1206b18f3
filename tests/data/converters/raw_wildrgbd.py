"""Writes a WildRGB-D tree by the formulas of its README: column-major K, camera-to-world poses, millimetres."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene


def write_wildrgbd(
    root: Path, scene: DrawnScene, *, category: str = "cup", folder: str = "scene_000", row_major: bool = False
) -> Path:
    """One scene; returns its folder. ``row_major`` lists K the wrong way."""
    place = root / category / "scenes" / folder
    for name in ("rgb", "depth", "masks"):
        (place / name).mkdir(parents=True)
    matrix = scene.intrinsics
    numbers = (matrix if row_major else matrix.T).reshape(-1).tolist()
    (place / "metadata").write_text(json.dumps({"w": scene.width, "h": scene.height, "K": numbers}))
    lines = []
    for frame in range(scene.frames):
        camera_to_world = scene.world_from_camera[frame]
        lines.append(" ".join([str(frame), *(repr(float(number)) for number in camera_to_world.reshape(-1))]))
        seen = (np.linalg.inv(camera_to_world) @ np.c_[scene.points, np.ones(len(scene.points))].T)[:3]
        columns, rows, _ = matrix @ seen / seen[2]
        pixels = np.stack([columns, rows], axis=1)
        millimetres = (scene.draw_depth(pixels, seen[2]) * 1000).round().astype(np.uint16)
        Image.fromarray(scene.draw(frame, pixels)).save(place / "rgb" / f"{frame:05d}.png")
        Image.fromarray(millimetres).save(place / "depth" / f"{frame:05d}.png")
        mask = np.where(millimetres > 0, 255, 0).astype(np.uint8)
        Image.fromarray(mask).save(place / "masks" / f"{frame:05d}.png")
    (place / "cam_poses.txt").write_text("\n".join(lines) + "\n")
    return place


def write_lists(root: Path, category: str, **lists: dict[str, list[str]]) -> None:
    """``nvs_list=...`` and ``camera_eval_list=...``: scenes under "train" and "val"."""
    for name, content in lists.items():
        (root / category / f"{name}.json").write_text(json.dumps(content))
