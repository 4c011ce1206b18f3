"""Clips of the analytic room, as the benchmark takes them."""

import torch

from gen3r.data.clip import Clip
from scene.rooms import room_scene


def room_clip(seed: int, frames: int = 5, side: int = 112, unit: float = 1.0) -> Clip:
    """A clip in any length unit; the seed tints it."""
    scene = room_scene(frames, side, side)
    tint = 0.5 + 0.5 * torch.rand(3, generator=torch.Generator().manual_seed(seed))
    return Clip(
        rgb=(scene.rgb * tint).to(torch.uint8),
        depth=torch.where(scene.mask, scene.depth, 0.0) * unit,
        cameras=scene.cameras.scaled(unit),
        caption="a room with a red ball",
        seed=seed,
    )
