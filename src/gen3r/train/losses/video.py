"""Reconstruction losses of video, [b, 3, frames, height, width] in -1..1."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Video = Float[Tensor, "b 3 frames height width"]


def reconstruction_terms(prediction: Video, target: Video) -> dict[str, Float[Tensor, ""]]:
    """What reconstructions are judged by, named like the weights of ``VAELossConfig``."""
    return {
        "l1": (prediction - target).abs().mean(),
        "rms": rms_error(prediction, target),
        "gradient": gradient_error(prediction, target),
        "multiscale": multiscale_error(prediction, target),
    }


def rms_error(prediction: Video, target: Video, floor: float = 0.02) -> Float[Tensor, ""]:
    """Mean over clips of sqrt(mean squared error + floor^2): between mean squared error and its logarithm (PSNR)."""
    squared = (prediction - target).square().mean(dim=(1, 2, 3, 4))
    return (squared + floor**2).sqrt().mean()


def gradient_error(prediction: Video, target: Video) -> Float[Tensor, ""]:
    """Mean absolute difference of horizontal and vertical neighbour differences: edges as sharp as they were."""
    error = prediction - target
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def multiscale_error(prediction: Video, target: Video, levels: int = 2) -> Float[Tensor, ""]:
    """Mean absolute error after averaging 2x2, 4x4, ... pixels, mean over the levels."""
    error = (prediction - target).transpose(1, 2).flatten(0, 1)
    total = error.new_zeros(())
    for _ in range(levels):
        error = functional.avg_pool2d(error, 2)
        total = total + error.abs().mean()
    return total / levels


def psnr(prediction: Video, target: Video) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio per clip in dB, for a range of 2; the prediction is clamped to -1..1 first."""
    squared = (prediction.clamp(-1, 1) - target).square().mean(dim=(1, 2, 3, 4))
    return 10 * (4 / squared.clamp_min(1e-10)).log10()
