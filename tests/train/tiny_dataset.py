"""Stored datasets of the known scene, a handful of frames of 72x40 pixels."""

from __future__ import annotations

from pathlib import Path

import torch

from data.converters.fixture import DrawnScene, make_scene
from gen3r.cameras.cameras import Cameras
from gen3r.data.clip import Split
from gen3r.data.schema.writer import ClipWriter

WIDTH, HEIGHT = 72, 40


def scene_of(number: int, frames: int) -> DrawnScene:
    """The scene that clip ``number`` shows."""
    return make_scene(frames, WIDTH, HEIGHT, seed=number)


def write_dataset(
    folder: Path,
    count: int = 2,
    *,
    frames: int = 8,
    split: Split = "train",
    source: str = "drawn",
    depth: bool = True,
    captions: tuple[str, ...] = ("The image shows a grey wall.", "dots"),
    first: int = 0,
) -> Path:
    """Clips ``first`` .. ``first + count - 1``; the folder may hold others."""
    for number in range(first, first + count):
        scene = scene_of(number, frames)
        with ClipWriter(folder / f"clip{number:02d}") as clip:
            for frame in range(frames):
                pixels = scene.pixels(frame)
                clip.add_picture(scene.draw(frame, pixels))
                if depth:
                    clip.add_depth(scene.draw_depth(pixels, scene.camera_points(frame)[:, 2]))
            extrinsics = torch.linalg.inv(torch.from_numpy(scene.world_from_camera)).float()
            intrinsics = torch.from_numpy(scene.intrinsics).float().expand(frames, 3, 3)
            clip.finish(
                Cameras(extrinsics, intrinsics, HEIGHT, WIDTH),
                captions,
                split=split,
                source=source,
                licence="CC0-1.0",
                scale_kind="metric",
                caption_kind="given" if captions else "none",
            )
    return folder
