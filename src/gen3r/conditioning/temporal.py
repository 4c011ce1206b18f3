"""Folding frames into latent frames, for everything that has a value per frame."""

from __future__ import annotations

import torch
from jaxtyping import Shaped
from torch import Tensor

from gen3r.latents.grid import TEMPORAL_STRIDE, nearest_frames


def fold_frames(values: Shaped[Tensor, "B F C *s"]) -> Shaped[Tensor, "B C4 f *s"]:
    """Group F = 4k+1 frames by four, the first repeated four times: channel = c * 4 + frame slot.

    Raises:
        ValueError: if F is not 4k+1.
    """
    frames = values.shape[1]
    if frames % TEMPORAL_STRIDE != 1:
        raise ValueError(f"frames must be 4k+1 to fold, got {frames}; use one of {nearest_frames(frames)}.")
    first = values[:, :1].expand(-1, TEMPORAL_STRIDE - 1, *values.shape[2:])
    groups = torch.cat([first, values], dim=1).unflatten(1, (-1, TEMPORAL_STRIDE))
    return groups.movedim(1, 3).movedim(1, 2).flatten(1, 2)
