"""Choices of the official code that differ from ours, by name, for reproducing its numbers.

The third one, unprojection at integer pixels, is ``pixel_offset=0`` of `projection.unproject`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NEAREST_DEPTH = 1e-8
"""Depths up to this count as no surface."""
FARTHEST_DEPTH = 50.0
"""Depths from this on are dropped by `min_max_depth_mask`, whatever the unit."""


def depth_mask(depth: Float[Tensor, "*b H W"]) -> Bool[Tensor, "*b H W"]:
    """Pixels whose depth is above 1e-8."""
    return depth > NEAREST_DEPTH


def min_max_depth_mask(depth: Float[Tensor, "*b H W"]) -> Bool[Tensor, "*b H W"]:
    """Pixels strictly between the 0.1th and the 98th percentile of their own frame, and between 1e-8 and 50."""
    low, high = _percentile(depth.flatten(-2), 0.1), _percentile(depth.flatten(-2), 98.0)
    low, high = low.clamp(min=NEAREST_DEPTH)[..., None, None], high.clamp(max=FARTHEST_DEPTH)[..., None, None]
    return (depth > low) & (depth < high)


def cover_crop_intrinsics(
    intrinsics: Float[Tensor, "*b 3 3"], size: tuple[int, int], target: tuple[int, int]
) -> Float[Tensor, "*b 3 3"]:
    """Intrinsics after cover-resize and centre crop as the official training data computes them.

    One factor for both axes, and sizes cut to whole pixels where the image itself is rounded: up to a pixel off
    `Cameras.cover_crop`.

    Args:
        intrinsics: pixels of the image before.
        size: its (height, width).
        target: (height, width) after.
    """
    ratio = max(target[0] / size[0], target[1] / size[1])
    top, left = ((int(before * ratio) - after) // 2 for before, after in zip(size, target, strict=True))
    changed = intrinsics * intrinsics.new_tensor([ratio, ratio, 1.0])[:, None]
    changed[..., 0, 2] -= left
    changed[..., 1, 2] -= top
    return changed


def _percentile(values: Float[Tensor, "*b N"], percent: float) -> Float[Tensor, "*b"]:
    """Linear percentile by sorting; `torch.quantile` refuses more than 16 M values."""
    ordered = values.sort(dim=-1).values
    position = percent / 100 * (values.shape[-1] - 1)
    below = int(position)
    above = min(below + 1, values.shape[-1] - 1)
    return torch.lerp(ordered[..., below], ordered[..., above], position - below)
