"""Contact sheets for the samples of a run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor


def depth_rows(images: Tensor, depths: Sequence[Tensor]) -> UInt8[Tensor, "height width 3"]:
    """A sheet: per frame (first, last) a row of images, then a row of inverse depth for each of ``depths``."""
    rows = []
    for frame in (0, images.shape[1] - 1):
        rows.append(torch.cat(list(images[:, frame].permute(0, 2, 3, 1)), dim=1))
        for depth in depths:
            nearness = torch.where(depth > 0, 0.5 / depth.clamp_min(0.1), 0)[:, frame].float().clamp(0, 1)
            rows.append(torch.cat(list(nearness[..., None].expand(-1, -1, -1, 3)), dim=1))
    return (torch.cat(rows).clamp(0, 1) * 255).byte()
