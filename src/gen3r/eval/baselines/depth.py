"""Depth without looking at the picture."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor


def mean_depth_map(depths: Iterable[Float[Tensor, "F H W"]]) -> Float[Tensor, "H W"]:
    """Mean over clips and frames of depth divided by its clip's mean; sky (0) is left out pixel by pixel.

    Pixels where no clip has a surface get 1, the mean of a normalised clip. In units of the clip's mean depth.

    Raises:
        ValueError: without a single clip that has a surface.
    """
    sums: list[Tensor] = []
    for depth in depths:
        valid = depth > 0
        if not valid.any():
            continue
        normalised = torch.where(valid, depth / depth[valid].mean(), 0.0)
        own = torch.stack([normalised.double().sum(dim=0), valid.double().sum(dim=0)])
        sums = [own if not sums else sums[0] + own]
    if not sums:
        raise ValueError("a mean depth map needs at least one clip with a surface, got none.")
    total, count = sums[0]
    return torch.where(count > 0, total / count.clamp_min(1), 1.0).float()
