"""Which depths to believe: our rule, and the official one for comparison."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_SMALLEST = 1e-8


def positive_depth(depth: Float[Tensor, "*b H W"]) -> Bool[Tensor, "*b H W"]:
    """True where depth is finite and above 1e-8 scene units."""
    return torch.isfinite(depth) & (depth > _SMALLEST)


def official_percentile_depth(depth: Float[Tensor, "*b H W"]) -> Bool[Tensor, "*b H W"]:
    """The official `min_max_depth_mask`, for parity only: it drops the far 2 % of every frame.

    Per frame max(1e-8, 0.1th percentile) < depth < min(98th percentile, 50), both strict, percentiles
    interpolated linearly. 50 is an absolute length, so the rule depends on the unit of the scene.
    """
    # torch.quantile refuses more than 16M values but a frame is far below that.
    flat = depth.flatten(-2).double()
    low = torch.quantile(flat, 0.001, dim=-1).clamp_min(_SMALLEST)[..., None, None]
    high = torch.quantile(flat, 0.98, dim=-1).clamp_max(50.0)[..., None, None]
    return (depth > low) & (depth < high)
