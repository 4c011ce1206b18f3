"""Depth errors of one clip: after one scale for the whole clip, or in metres as they stand."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

ABSREL_CEILING = 1.0
"""AbsRel of predicting no depth at all (zero everywhere); no clip scores worse, and a missing result scores this."""
DELTA = 1.25
"""Ratio below which a pixel counts for ``delta1``."""


@dataclass(frozen=True, kw_only=True)
class DepthErrors:
    """Errors over the valid pixels of all frames of one clip."""

    absrel: float
    """Mean of |prediction - truth| / truth, at most ``ABSREL_CEILING``. 0 is perfect."""
    rmse: float
    """Root of the mean of (prediction - truth)^2, in the truth's unit; at most that of predicting zero everywhere, the
    root mean square of the truth. 0 is perfect."""
    delta1: float
    """Share of pixels with max(prediction / truth, truth / prediction) < 1.25. 1 is perfect."""
    scale: float
    """What the prediction was multiplied by: 1 for metric errors; NaN where it is nowhere positive."""


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
    predicted: Float[Tensor, "F H W"],
    target: Float[Tensor, "F H W"],
    valid: Bool[Tensor, "F H W"],
    metric: bool = False,
) -> DepthErrors:
    """AbsRel, RMSE and delta < 1.25 of z-depth.

    Scale-aligned: ONE scale (``median_scale``) for all frames of the clip and no shift. Some papers fit a scale for
    every frame, which forgives a depth that drifts through the video; here drift is an error.

    Args:
        predicted: in any positive unit, or in the truth's unit if ``metric``.
        target: true depth.
        valid: pixels whose truth is a surface.
        metric: compare as it stands, without a scale.

    Raises:
        ValueError: if no pixel is valid, or the prediction is not finite at some valid pixel: neither is a number that
            could be averaged. A failed clip scores what zeros score: ``ABSREL_CEILING``, 0 for delta1.
    """
    if not valid.any():
        raise ValueError("depth errors need at least one valid pixel, got none; leave clips of pure sky out.")
    if not torch.isfinite(predicted[valid]).all():
        raise ValueError("the predicted depth is not finite at some valid pixels; the clip counts as failed.")
    scale = 1.0 if metric else median_scale(predicted, target, valid)
    truth = target[valid].double()
    nothing = truth.square().mean().sqrt().item()
    if scale != scale:
        return DepthErrors(absrel=ABSREL_CEILING, rmse=nothing, delta1=0.0, scale=scale)
    aligned = predicted[valid].double() * scale
    error = aligned - truth
    ratio = torch.maximum(aligned / truth, truth / aligned.clamp_min(1e-12))
    return DepthErrors(
        absrel=min((error.abs() / truth).mean().item(), ABSREL_CEILING),
        rmse=min(error.square().mean().sqrt().item(), nothing),
        delta1=(ratio < DELTA).double().mean().item(),
        scale=scale,
    )
