"""Cameras as line drawings."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import unproject
from gen3r.scene.scene import Scene

_APEX, _CORNERS = 0, (1, 2, 3, 4)
SEGMENTS = (*((_APEX, c) for c in _CORNERS), (1, 2), (2, 3), (3, 4), (4, 1))
"""Index pairs into the five corners of a frustum."""


def frustum_corners(cameras: Cameras, depth: float) -> Float[Tensor, "F 5 3"]:
    """World points: camera centre, then the image corners (clockwise from upper left) at z-depth `depth`."""
    cameras = cameras.to(dtype=torch.float32)
    # A 2x2 image of the same view has its pixel corners, not centres, at integer positions: offset 0 of a
    # 2x2 grid over a 1x1 image lands on the four corners of the original.
    unit = cameras.resize(1, 1)
    grid = Cameras(unit.extrinsics, unit.intrinsics, 2, 2)
    flat = torch.full((len(cameras), 2, 2), depth, device=cameras.device)
    corners = unproject(flat, grid, pixel_offset=0.0).flatten(1, 2)[:, [0, 1, 3, 2]]
    return torch.cat([cameras.centers[:, None], corners], dim=1)


def clipping_range(scene: Scene) -> tuple[float, float]:
    """Near and far planes, scene units, that keep everything in sight: ten times nearer and farther than all depth."""
    valid = scene.depth[scene.mask]
    return (float(valid.min()) / 10, float(valid.max()) * 10) if valid.numel() else (0.01, 1000.0)


def frustum_depth(scene: Scene, fraction: float = 0.08) -> float:
    """A frustum size that suits the scene: `fraction` of the median depth, scene units."""
    valid = scene.depth[scene.mask]
    return fraction * (float(valid.median()) if valid.numel() else 1.0)
