"""Structural similarity of images in [0, 1]."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

WINDOW = 11
"""Side of the Gaussian window in pixels."""
SIGMA = 1.5
"""Standard deviation of the window in pixels."""
K1, K2 = 0.01, 0.03
"""Shares of the value range that keep the ratio of means and of variances from dividing by zero."""


def ssim(predicted: Float[Tensor, "*b C H W"], target: Float[Tensor, "*b C H W"]) -> Float[Tensor, "*b"]:
    """Mean structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004), one number per image.

    1 for equal images, about 0 for unrelated ones, never below -1. As their paper has it: Gaussian window of 11 x 11
    pixels and standard deviation 1.5, variances not corrected for the sample size, ``K1 = 0.01`` and ``K2 = 0.03`` for
    values in [0, 1], only windows that lie inside the image. Each channel is scored by itself and the mean taken, as is
    usual for RGB. The prediction is clamped to [0, 1] first. Computed in float64, one image at a time. The SSIM of a
    clip is the mean of this over its frames.

    Raises:
        ValueError: if the images are smaller than the window, or the prediction is not finite.
    """
    height, width = target.shape[-2:]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW}x{WINDOW}, got {height}x{width}.")
    if not torch.isfinite(predicted).all():
        raise ValueError("the predicted images are not finite; the clip counts as failed.")
    channels, batch = target.shape[-3], target.shape[:-3]
    pairs = [images.reshape(-1, channels, height, width) for images in (predicted, target)]
    return torch.stack([_similarity(a, b) for a, b in zip(*pairs, strict=True)]).reshape(batch)


def _similarity(predicted: Float[Tensor, "C H W"], target: Float[Tensor, "C H W"]) -> Float[Tensor, ""]:
    """SSIM of one image."""
    a, b = predicted.double().clamp(0, 1)[:, None], target.double()[:, None]
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a = _blur(a * a) - mean_a.square()
    variance_b = _blur(b * b) - mean_b.square()
    covariance = _blur(a * b) - mean_a * mean_b
    brightness = (2 * mean_a * mean_b + K1**2) / (mean_a.square() + mean_b.square() + K1**2)
    structure = (2 * covariance + K2**2) / (variance_a + variance_b + K2**2)
    return (brightness * structure).mean().float()


def _blur(images: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N 1 h w"]:
    """Weighted mean of every window that lies inside the image."""
    offsets = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * SIGMA**2))
    weights = weights / weights.sum()
    return F.conv2d(F.conv2d(images, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
