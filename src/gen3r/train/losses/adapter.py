"""The losses of the geometry adapter: tokens, what VGGT's heads make of them, and alignment to the video latent.

Numbers and reductions are those of the official trainer. One of its rules is left out on purpose: it replaced a
non-finite total by zero, where our loop stops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3r.latents.tokens import split_volume
from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGTOutput

# B batch, F frames, D token width, gh gw token grid, H W image

Difference = Callable[[Tensor, Tensor], Tensor]
KLWeight = Callable[[float], float] | float | None


def l1_difference(a: Tensor, b: Tensor) -> Tensor:
    """|a - b| of each number."""
    return (a - b).abs()


def l2_difference(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean length of a - b over the last axis."""
    return (a - b).norm(dim=-1)


def smooth_l1_difference(a: Tensor, b: Tensor) -> Tensor:
    """Smooth L1 with beta 1 (equal to Huber with delta 1)."""
    return F.smooth_l1_loss(a, b, reduction="none")


@dataclass(frozen=True, kw_only=True)
class AdapterLossConfig:
    """Weights of the adapter's losses; the defaults are the official ones."""

    reconstruction: float = 0.5
    """Weight of the reconstruction group."""
    similarity: float = 0.1
    """Weight of the cosine similarities."""
    align: float = 2.0
    """Weight of the KL to the video posterior. 0: KL to a standard normal instead, with the adaptive weight alone."""
    align_scale: float = 0.1
    """Factor on the adaptive weight of the alignment."""
    camera: float = 10.0
    """Weight of the camera loss inside the reconstruction group."""
    depth: float = 2.0
    """Weight of the depth loss inside the reconstruction group."""
    points: float = 1.0
    """Weight of the point loss inside the reconstruction group."""
    image_token_beta: float = 0.15
    """Where the smooth L1 of the patch tokens turns linear."""
    camera_token_beta: float = 0.1
    """Where the smooth L1 of the camera token turns linear."""
    iteration_decay: float = 0.6
    """Each earlier pose iteration counts this much less than the next."""
    fov: float = 0.5
    """Weight of the field of view inside the camera loss."""
    largest_error: float = 100.0
    """Absolute errors of cameras, depths and points are clamped here."""


@dataclass(frozen=True, kw_only=True)
class ReconstructionErrors:
    """How far reconstructed tokens, and what VGGT's heads read in them, are from the target; none is weighted."""

    image_tokens: Float[Tensor, ""]
    """Smooth L1 of the patch tokens."""
    camera_tokens: Float[Tensor, ""]
    """Smooth L1 of the camera token."""
    camera: Float[Tensor, ""]
    """Pose encodings over the iterations."""
    depth: Float[Tensor, ""]
    """Depth."""
    points: Float[Tensor, ""]
    """Points."""
    similarity: Float[Tensor, ""]
    """What the cosine similarities of patch and camera tokens lack of 1, added."""


@dataclass(frozen=True, kw_only=True)
class AdapterLosses:
    """Every term, each a scalar tensor; only `total` carries the gradient the trainer needs."""

    total: Float[Tensor, ""]
    """What to minimise."""
    image_tokens: Float[Tensor, ""]
    """Smooth L1 of the patch tokens, not weighted."""
    camera_tokens: Float[Tensor, ""]
    """Smooth L1 of the camera token, not weighted."""
    camera: Float[Tensor, ""]
    """Pose encodings over the iterations, not weighted."""
    depth: Float[Tensor, ""]
    """Depth, not weighted."""
    points: Float[Tensor, ""]
    """Points, not weighted."""
    reconstruction: Float[Tensor, ""]
    """The weighted reconstruction group."""
    similarity: Float[Tensor, ""]
    """The weighted similarities."""
    kl: Float[Tensor, ""]
    """KL, not weighted, in the official reduction."""
    kl_weight: Float[Tensor, ""]
    """The adaptive weight used (no gradient)."""
    alignment: Float[Tensor, ""]
    """The weighted KL term."""

    def scalars(self) -> dict[str, float]:
        """All terms as numbers, for logs."""
        return {field.name: float(getattr(self, field.name).detach()) for field in fields(self)}


def adapter_losses(
    *,
    reconstructed: Float[Tensor, "B D5 F gh gw"],
    target: Float[Tensor, "B D5 F gh gw"],
    reconstructed_heads: VGGTOutput,
    target_heads: VGGTOutput,
    posterior: Posterior,
    reference: Posterior | None,
    config: AdapterLossConfig | None = None,
    kl_weight: KLWeight = None,
) -> AdapterLosses:
    """All terms of one step, from whole volumes.

    Args:
        reconstructed: token volume from the adapter's decoder.
        target: token volume that was encoded; no gradient.
        reconstructed_heads: VGGT's heads on the reconstructed tokens (frozen weights, gradient flows through).
        target_heads: the same heads on the target; no gradient.
        posterior: the adapter's.
        reference: the video VAE's with its mean normalised by its own constants; may be None if `config.align` is 0.
        config: weights.
        kl_weight: see `weigh`.
    """
    config = config or AdapterLossConfig()
    patches, camera = split_volume(reconstructed)
    target_patches, target_camera = split_volume(target)
    errors = ReconstructionErrors(
        image_tokens=F.smooth_l1_loss(patches, target_patches, beta=config.image_token_beta),
        camera_tokens=F.smooth_l1_loss(camera, target_camera, beta=config.camera_token_beta),
        camera=camera_loss(reconstructed_heads.pose_encodings, target_heads.pose_encodings, config),
        depth=depth_loss(reconstructed_heads.depth, target_heads.depth, config.largest_error),
        points=points_loss(reconstructed_heads.points, target_heads.points, config.largest_error),
        similarity=cosine_loss(patches, target_patches) + cosine_loss(camera, target_camera),
    )
    return weigh(errors, posterior, reference, config, kl_weight)


def weigh(
    errors: ReconstructionErrors,
    posterior: Posterior,
    reference: Posterior | None,
    config: AdapterLossConfig,
    kl_weight: KLWeight = None,
) -> AdapterLosses:
    """All terms of one step, from what the reconstruction lacks and both posteriors as in `adapter_losses`.

    Args:
        errors: not weighted.
        posterior: the adapter's.
        reference: the video VAE's.
        config: weights.
        kl_weight: a number in place of the adaptive weight of the step, or what to make of that (for instance a moving
            average).
    """
    group = (
        errors.image_tokens
        + errors.camera_tokens
        + config.camera * errors.camera
        + config.depth * errors.depth
        + config.points * errors.points
    )
    reconstruction, similarity = config.reconstruction * group, config.similarity * errors.similarity
    aligned = config.align > 0
    if aligned and reference is None:
        raise ValueError("aligning needs the video posterior: pass `reference`, or set `align` to 0.")
    kl = official_kl(posterior, reference if aligned else None)
    if kl_weight is None or callable(kl_weight):
        adaptive = adaptive_kl_weight(reconstruction, kl, config)
        kl_weight = adaptive if kl_weight is None else kl_weight(adaptive)
    weight = torch.as_tensor(kl_weight, dtype=kl.dtype, device=kl.device)
    alignment = (config.align if aligned else 1.0) * weight * kl
    return AdapterLosses(
        total=reconstruction + similarity + alignment,
        image_tokens=errors.image_tokens,
        camera_tokens=errors.camera_tokens,
        camera=errors.camera,
        depth=errors.depth,
        points=errors.points,
        reconstruction=reconstruction,
        similarity=similarity,
        kl=kl,
        kl_weight=weight,
        alignment=alignment,
    )


def camera_loss(
    predicted: Sequence[Float[Tensor, "B F 9"]],
    target: Sequence[Float[Tensor, "B F 9"]],
    config: AdapterLossConfig | None = None,
    difference: Difference = l1_difference,
) -> Float[Tensor, ""]:
    """Translation + rotation + 0.5 field of view; iteration k weighs 0.6^(last - k), divided by their count."""
    config = config or AdapterLossConfig()
    last = len(predicted) - 1
    total = predicted[0].new_zeros(())
    for k, (pose, aim) in enumerate(zip(predicted, target, strict=True)):
        translation, rotation, fov = pose_terms(pose, aim, config.largest_error, difference)
        total = total + config.iteration_decay ** (last - k) * (translation + rotation + config.fov * fov)
    return total / len(predicted)


def pose_terms(
    predicted: Float[Tensor, "B F 9"],
    target: Float[Tensor, "B F 9"],
    largest: float = 100.0,
    difference: Difference = l1_difference,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean bounded differences of translations, quaternions and fields of view."""
    parts = (slice(0, 3), slice(3, 7), slice(7, 9))
    translation, rotation, fov = (
        _bounded(difference, predicted[..., part], target[..., part], largest).mean() for part in parts
    )
    return translation, rotation, fov


def depth_loss(
    predicted: Float[Tensor, "B F H W"], target: Float[Tensor, "B F H W"], largest: float = 100.0
) -> Float[Tensor, ""]:
    """Mean absolute difference; non-finite pixels count as 0, large ones as `largest`."""
    return _bounded(l1_difference, predicted, target, largest).mean()


def points_loss(
    predicted: Float[Tensor, "B F H W 3"], target: Float[Tensor, "B F H W 3"], largest: float = 100.0
) -> Float[Tensor, ""]:
    """Mean distance; non-finite pixels count as 0, large ones as `largest`."""
    return _bounded(l2_difference, predicted, target, largest).mean()


def cosine_loss(a: Float[Tensor, "B D *shape"], b: Float[Tensor, "B D *shape"]) -> Float[Tensor, ""]:
    """1 - mean cosine similarity over all channels together."""
    return 1 - F.cosine_similarity(a, b, dim=1).mean()


def official_kl(posterior: Posterior, reference: Posterior | None = None) -> Float[Tensor, ""]:
    """KL in nats, summed over channels, time and HEIGHT, averaged over batch and width: the official reduction.

    It is the full sum divided by the latent's width; the official weight belongs to this number.
    """
    return posterior.kl(reference).sum(dim=(1, 2, 3)).mean()


def adaptive_weight(target: Tensor | float, current: Tensor | float) -> float:
    """1 while `current` is at most `target`, else the power of ten at or below target / current (0.01 for 0)."""
    target, current = (torch.as_tensor(value).detach().item() for value in (target, current))
    if current <= target:
        return 1.0
    ratio = target / current if current else 0.0
    return 10.0 ** math.floor(math.log10(ratio)) if ratio > 0 else 0.01


def adaptive_kl_weight(
    reconstruction: Tensor | float, kl: Tensor | float, config: AdapterLossConfig | None = None
) -> float:
    """The official weight of the KL for this step; `reconstruction` is the weighted group."""
    config = config or AdapterLossConfig()
    return adaptive_weight(reconstruction, kl) * (config.align_scale if config.align > 0 else 1.0)


def latent_statistics(posterior: Posterior) -> dict[str, float]:
    """What to watch while aligning: mean and deviation of the means, mean deviation of the posterior."""
    mean = posterior.mean.detach()
    deviation = torch.exp(0.5 * posterior.logvar.detach())
    return {"mean": float(mean.mean()), "mean_std": float(mean.std()), "std": float(deviation.mean())}


def _bounded(difference: Difference, a: Tensor, b: Tensor, largest: float) -> Tensor:
    usable = difference(a.detach(), b.detach()).isfinite()
    clean = difference(a.nan_to_num(0.0, 0.0, 0.0), b.nan_to_num(0.0, 0.0, 0.0))  # or 0 * NaN poisons the gradient
    return torch.where(usable, clean, 0.0).clamp(max=largest)
