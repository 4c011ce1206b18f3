"""Peak signal-to-noise ratio of images in [0, 1]."""

import torch
from jaxtyping import Float
from torch import Tensor

CEILING_DB = 100.0
"""Equal images would have infinite PSNR; every image's PSNR is capped here so that means stay finite."""


def psnr(predicted: Float[Tensor, "*b C H W"], target: Float[Tensor, "*b C H W"]) -> Float[Tensor, "*b"]:
    """``-10 log10(mean squared error)`` in dB, one number per image, at most ``CEILING_DB``.

    Both inputs are RGB in [0, 1]; the prediction is clamped to that range first, so 0 dB is the lowest score.
    The PSNR of a clip is the mean of this over its frames (not the PSNR of the pooled error).
    """
    error = (predicted.double().clamp(0, 1) - target.double()).square().mean(dim=(-3, -2, -1))
    return (-10.0 * torch.log10(error.clamp_min(10.0 ** (-CEILING_DB / 10)))).float()
