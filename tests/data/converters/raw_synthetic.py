"""Writes packed clips with the scene of the fixture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from data.converters.fixture import DrawnScene
from gen3r.cameras import Cameras
from gen3r.data.clip import Clip
from gen3r.data.synthetic.bulk import pack_clips


def write_pack(path: Path, scene: DrawnScene, seeds: Sequence[int] = (7,)) -> Path:
    """The same clip under several seeds."""
    rgb = np.stack([scene.draw(frame, scene.pixels(frame)) for frame in range(scene.frames)])
    depth = [scene.draw_depth(scene.pixels(frame), scene.camera_points(frame)[:, 2]) for frame in range(scene.frames)]
    extrinsics = torch.from_numpy(np.linalg.inv(scene.world_from_camera))
    intrinsics = torch.from_numpy(scene.intrinsics).expand(scene.frames, 3, 3)
    cameras = Cameras(extrinsics, intrinsics, scene.height, scene.width)
    clips = [
        Clip(
            rgb=torch.from_numpy(rgb),
            depth=torch.from_numpy(np.stack(depth)),
            cameras=cameras,
            caption=f"Ten dots, seed {seed}.",
            seed=seed,
        )
        for seed in seeds
    ]
    pack_clips(clips, path)
    return path
