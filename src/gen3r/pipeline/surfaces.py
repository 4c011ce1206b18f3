"""Which pixels of a prediction see a surface, and which the sky."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.pipeline.config import PipelineConfig


def surfaces(
    depth: Float[Tensor, "*b H W"], confidence: Float[Tensor, "*b H W"], config: PipelineConfig
) -> Bool[Tensor, "*b H W"]:
    """Pixels with a finite depth above 0 and below ``config.far``, and at least ``config.sky_confidence``.

    A frame in which nothing is that sure keeps what is near: it shows something that the model knows little of.

    Args:
        depth: z-depth in the unit of VGGT, any value where it is lost.
        confidence: of that depth.
        config: of the model.
    """
    near = torch.isfinite(depth) & (depth > 0) & (depth < config.far)
    sure = near & (confidence >= config.sky_confidence)
    return torch.where(sure.any(-1, keepdim=True).any(-2, keepdim=True), sure, near)
