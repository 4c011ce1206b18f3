"""Writes nerfstudio projects and Blender's synthetic scenes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene
from data.converters.raw_transforms import (
    Bend,
    brown,
    lens_pixels,
    opengl_poses,
    transforms,
    write_json,
    write_pictures,
)


def write_nerfstudio(
    project: Path,
    scene: DrawnScene,
    *,
    bend: Bend | None = None,
    depth: bool = False,
    masks: bool = False,
    poses: np.ndarray | None = None,
    **more: Any,
) -> Path:
    """A project with transforms.json; ``more`` are keys of the file."""
    bend = bend or brown()
    names = [f"frame_{frame + 1:05d}.png" for frame in range(scene.frames)]
    write_pictures(project / "images", scene, names, bend)
    content = transforms(scene, [f"images/{name}" for name in names], poses=poses, more=more)
    for frame, (name, entry) in enumerate(zip(names, content["frames"], strict=True)):
        drawn = scene.draw_depth(lens_pixels(scene, frame, bend), scene.camera_points(frame)[:, 2])
        if depth:
            entry["depth_file_path"] = f"depth/{name}"
            (project / "depth").mkdir(exist_ok=True)
            Image.fromarray((drawn * 1000).round().astype(np.uint16)).save(project / "depth" / name)
        if masks:
            entry["mask_path"] = f"masks/{name}"
            (project / "masks").mkdir(exist_ok=True)
            Image.fromarray((drawn > 0).astype(np.uint8) * 255).save(project / "masks" / name)
    write_json(project / "transforms.json", content)
    return project


def write_blender(project: Path, scene: DrawnScene, split: str) -> Path:
    """A file of one split: camera_angle_x, names without suffix, pictures with transparency."""
    (project / split).mkdir(parents=True)
    frames = []
    for frame, pose in enumerate(opengl_poses(scene)):
        picture = scene.draw(frame, scene.pixels(frame))
        alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
        alpha[:2] = 0
        Image.fromarray(np.concatenate([picture, alpha], -1)).save(project / split / f"r_{frame}.png")
        frames.append({"file_path": f"./{split}/r_{frame}", "transform_matrix": pose.tolist()})
    angle = 2 * math.atan(scene.width / 2 / scene.intrinsics[0, 0])
    write_json(project / f"transforms_{split}.json", {"camera_angle_x": angle, "frames": frames})
    return project
