"""Scale-aligned depth errors of one clip."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

ABSREL_CEILING = 1.0
"""AbsRel of predicting no depth at all (zero everywhere); no clip scores worse, and a missing result scores this."""


@dataclass(frozen=True, kw_only=True)
class DepthErrors:
    """Errors over the valid pixels of one clip, after one scale factor for the whole clip."""

    absrel: float
    """Mean of |prediction - truth| / truth, at most ``ABSREL_CEILING``. 0 is perfect."""
    delta1: float
    """Share of pixels with max(prediction / truth, truth / prediction) < 1.25. 1 is perfect."""
    scale: float
    """What the prediction was multiplied by."""


def median_scale(predicted: Float[Tensor, "*n"], target: Float[Tensor, "*n"], valid: Bool[Tensor, "*n"]) -> float:
    """Median of truth / prediction over the valid pixels with positive prediction.

    It minimises the sum of |log(scale * prediction) - log(truth)|; unlike least squares it is insensitive to outliers.
    NaN where no pixel is usable.
    """
    usable = valid & torch.isfinite(predicted) & (predicted > 0)
    if not usable.any():
        return float("nan")
    return (target[usable].double() / predicted[usable].double()).median().item()


def depth_errors(
    predicted: Float[Tensor, "F H W"], target: Float[Tensor, "F H W"], valid: Bool[Tensor, "F H W"]
) -> DepthErrors:
    """AbsRel and delta < 1.25 of z-depth in any positive unit; ONE scale (``median_scale``) per clip, no shift.

    ``valid`` marks pixels whose truth is a surface. A non-finite prediction at a valid pixel makes the clip a failure
    (ValueError), as does a clip without valid pixels: neither is a number that could be averaged.
    """
    if not valid.any():
        raise ValueError("depth errors need at least one valid pixel, got none; leave clips of pure sky out.")
    if not torch.isfinite(predicted[valid]).all():
        raise ValueError("the predicted depth is not finite at some valid pixels; the clip counts as failed.")
    scale = median_scale(predicted, target, valid)
    if scale != scale:
        return DepthErrors(absrel=ABSREL_CEILING, delta1=0.0, scale=scale)
    aligned, truth = predicted[valid].double() * scale, target[valid].double()
    absrel = ((aligned - truth).abs() / truth).mean().item()
    ratio = torch.maximum(aligned / truth, truth / aligned.clamp_min(1e-12))
    return DepthErrors(absrel=min(absrel, ABSREL_CEILING), delta1=(ratio < 1.25).double().mean().item(), scale=scale)
