"""Depth from 16-bit pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image
from torch import Tensor

from gen3r.scene.crop import CoverCrop
from gen3r.scene.files import check_file
from gen3r.scene.limits import check_picture_size

SCALE_TEXT = "depth_scale"
"""Text entry of our depth PNGs: scene units per step."""


def read_depth_png(
    path: str | Path, *, scale: float | None = None, default_scale: float | None = None
) -> Float32[Tensor, "h w"]:
    """Read z-depth in scene units from a 16-bit PNG; 0 = no surface.

    Args:
        scale: scene units per step. Left out, what the picture's text entry `depth_scale` says, then `default_scale`.
        default_scale: for pictures that do not say it.

    Raises:
        ValueError: with the path, for a missing, damaged or huge file, one that is no 16-bit PNG, and a scale that
            nobody knows or that is not positive.
    """
    path = Path(path)
    check_file(path)
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            check_picture_size(str(path), picture.height, picture.width)
            mode, text = picture.mode, picture.info.get(SCALE_TEXT)
            steps = np.asarray(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is not a PNG, or damaged ({error}); expected depth as 16-bit PNG.") from error
    if not mode.startswith("I"):
        raise ValueError(f"{path} must be a grey PNG of 16 bits a pixel, got {mode}; 8 bits are too few for depth.")
    known = scale if scale is not None else _number(path, text) if text is not None else default_scale
    if known is None:
        raise ValueError(f"{path} does not say how long a step of its depth is; pass the scale, such as 0.001.")
    if not 0 < known < 1e12:
        raise ValueError(f"{path}: the scale of depth must be positive and finite, got {known}.")
    return torch.from_numpy((steps.astype(np.float64) * known).astype(np.float32))


def fit_depth(path: Path, depth: Float32[Tensor, "h w"], crop: CoverCrop) -> Float32[Tensor, "H W"]:
    """Depth of the picture that `crop` made, each pixel from the nearest one: depth is never mixed across an edge.

    Raises:
        ValueError: naming the path, if depth and picture have another shape (1 % is allowed for rounded sizes).
    """
    height, width = depth.shape
    if abs(width * crop.source_height - height * crop.source_width) > 0.01 * width * crop.source_height:
        raise ValueError(
            f"{path} is {height}x{width}, but its picture is {crop.source_height}x{crop.source_width} (HxW); both must "
            "show the same, at any resolution."
        )
    rows = (torch.arange(crop.height) + crop.top + 0.5) / crop.resized_height * height
    columns = (torch.arange(crop.width) + crop.left + 0.5) / crop.resized_width * width
    return depth[rows.long().clamp(0, height - 1)][:, columns.long().clamp(0, width - 1)]


def _number(path: Path, text: object) -> float:
    try:
        return float(str(text))
    except ValueError as error:
        raise ValueError(f"{path}: the text {SCALE_TEXT} must be a number, got {text!r:.40}.") from error
