"""Colours for depth and for time, the same in every file."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

# Even samples of matplotlib's "inferno" and "viridis" (CC0), linear in between.
_INFERNO = (
    "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 "
    "fcffa4"
)
_VIRIDIS = "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725"

NO_SURFACE = (42, 44, 48)
"""Dark grey for pixels without a surface."""


def _table(colors: str) -> np.ndarray:
    return np.array([[int(color[i : i + 2], 16) for i in (0, 2, 4)] for color in colors.split()], dtype=np.float64)


def _interpolated(colors: str, position: np.ndarray) -> UInt8[np.ndarray, "*b 3"]:
    table = _table(colors)
    stops = np.linspace(0, 1, len(table))
    return np.stack([np.interp(position, stops, channel) for channel in table.T], axis=-1).round().astype(np.uint8)


def inferno(position: Float[np.ndarray, "*b"]) -> UInt8[np.ndarray, "*b 3"]:
    """sRGB for positions in [0, 1], dark to bright."""
    return _interpolated(_INFERNO, position)


def viridis(position: Float[np.ndarray, "*b"]) -> UInt8[np.ndarray, "*b 3"]:
    """sRGB for positions in [0, 1], violet over green to yellow: first to last frame."""
    return _interpolated(_VIRIDIS, position)


def depth_range(depth: Float32[Tensor, "F H W"], mask: Bool[Tensor, "F H W"]) -> tuple[float, float]:
    """(near, far) in scene units for the whole clip: 1st and 98th percentile of the valid depths; (1, 2) if none."""
    valid = depth[mask].numpy()
    if not valid.size:
        return 1.0, 2.0
    near, far = (float(q) for q in np.quantile(valid, (0.01, 0.98)))
    return near, max(far, near * 1.001)


def depth_colors(
    depth: Float32[Tensor, "*b H W"], mask: Bool[Tensor, "*b H W"], near_far: tuple[float, float]
) -> UInt8[np.ndarray, "*b H W 3"]:
    """Depth as colour: bright is near, linear in inverse depth between near and far, grey without surface."""
    near, far = near_far
    inverse = 1 / depth.clamp_min(1e-8).double().numpy()
    position = (inverse - 1 / far) / (1 / near - 1 / far)
    colors = inferno(0.06 + 0.94 * position.clip(0, 1))
    colors[~mask.numpy()] = NO_SURFACE
    return colors
