"""Small clips for the tests of the data package."""

import torch

from gen3r.cameras import Cameras
from gen3r.data.clip import Clip


def random_clip(seed: int = 3, frames: int = 3, height: int = 12, width: int = 16) -> Clip:
    """Noise with valid cameras and a strip of sky."""
    generator = torch.Generator().manual_seed(seed)
    depth = torch.rand(frames, height, width, generator=generator) * 9 + 0.5
    depth[:, :3] = 0
    extrinsics = torch.eye(4).repeat(frames, 1, 1)
    extrinsics[:, :3, 3] = torch.randn(frames, 3, generator=generator)
    return Clip(
        rgb=torch.randint(0, 256, (frames, height, width, 3), generator=generator, dtype=torch.uint8),
        depth=depth,
        cameras=Cameras.from_fov(extrinsics, 1.0, height, width),
        caption=f"noise number {seed}",
        seed=seed,
    )
