"""VGGT's losses (Wang et al. 2025, section 3.4): cameras, depth with confidence, points with confidence.

Lengths are in units of the first view's mean depth; sky and far surfaces are masked out. Depth is compared by its
logarithm and points relative to their distance, so that a near chair weighs as much as a far wall.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Maps = Float[Tensor, "b f h w"]
Mask = Bool[Tensor, "b f h w"]

ITERATION_DECAY = 0.6
NEAREST = 1e-3


def camera_error(
    predictions: Sequence[Float[Tensor, "b f 9"]], target: Float[Tensor, "b f 9"], fov_weight: float = 0.5
) -> dict[str, Float[Tensor, ""]]:
    """Mean absolute errors of translation, quaternion, field of view; iteration k of K weighs 0.6^(K-1-k)."""
    weights = torch.tensor([ITERATION_DECAY ** (len(predictions) - 1 - k) for k in range(len(predictions))])
    weights = (weights / weights.sum()).to(target)
    errors = [(prediction.float() - target).abs() for prediction in predictions]
    error = torch.stack([weight * each for weight, each in zip(weights, errors, strict=True)]).sum(0)
    return {
        "translation": error[..., :3].mean(),
        "rotation": error[..., 3:7].mean(),
        "fov": fov_weight * error[..., 7:].mean(),
    }


def depth_error(
    prediction: Maps, confidence: Maps, target: Maps, mask: Mask, alpha: float
) -> dict[str, Float[Tensor, ""]]:
    """confidence * |log ratio| - alpha log(confidence), and confidence * |neighbour differences| of the log ratio."""
    ratio = (prediction.float().clamp_min(NEAREST).log() - target.clamp_min(NEAREST).log()) * mask
    weight = confidence.float()
    value = weight * ratio.abs() - alpha * weight.log()
    return {"depth": masked_mean(value, mask), "depth_gradient": _gradient(ratio, mask, weight)}


def point_error(
    prediction: Float[Tensor, "b f h w 3"],
    confidence: Maps,
    target: Float[Tensor, "b f h w 3"],
    mask: Mask,
    alpha: float,
) -> Float[Tensor, ""]:
    """confidence * |p - target| / (distance of the target + 0.3) - alpha log(confidence)."""
    distance = (prediction.float() - target).square().sum(-1).clamp_min(1e-12).sqrt() / (target.norm(dim=-1) + 0.3)
    weight = confidence.float()
    return masked_mean(weight * distance - alpha * weight.log(), mask)


def masked_mean(values: Tensor, mask: Tensor) -> Float[Tensor, ""]:
    """Mean where the mask is set; zero for an empty mask."""
    return (values * mask).sum() / mask.sum().clamp_min(1)


def _gradient(ratio: Maps, mask: Mask, weight: Maps) -> Float[Tensor, ""]:
    across = masked_mean(ratio.diff(dim=-1).abs() * weight[..., 1:], mask[..., 1:] & mask[..., :-1])
    down = masked_mean(ratio.diff(dim=-2).abs() * weight[..., 1:, :], mask[..., 1:, :] & mask[..., :-1, :])
    return across + down


def sky_confidence(confidences: Sequence[Maps], sky: Mask) -> Float[Tensor, ""]:
    """Mean log(confidence) of the maps over the sky: zero once the model knows that there is no surface."""
    return sum(
        (masked_mean(confidence.float().log(), sky) for confidence in confidences),
        start=torch.zeros((), device=sky.device),
    )


def aligned_errors(prediction: Maps, target: Maps, mask: Mask) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Absolute relative error and share of ratios under 1.25, per clip, after one median scale per clip."""
    errors, shares = [], []
    for predicted, true, valid in zip(prediction.float(), target, mask, strict=True):
        predicted, true = predicted[valid], true[valid]
        if not true.numel():
            continue
        predicted = predicted * (true / predicted).median()
        errors.append(((predicted - true).abs() / true).mean())
        shares.append((torch.maximum(predicted / true, true / predicted) < 1.25).float().mean())
    return torch.stack(errors), torch.stack(shares)
