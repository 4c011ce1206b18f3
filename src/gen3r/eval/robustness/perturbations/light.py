"""Between sRGB and light: noise and blur happen to light (IEC 61966-2-1)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def light(pictures: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Linear intensity in [0, 1] of sRGB values in [0, 1]."""
    return torch.where(pictures <= 0.04045, pictures / 12.92, ((pictures + 0.055) / 1.055).clamp(min=0) ** 2.4)


def srgb(intensity: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """sRGB values of linear intensity; what is outside [0, 1] is clipped, as sensors clip."""
    intensity = intensity.clamp(0, 1)
    bright = 1.055 * intensity.clamp(min=1e-8) ** (1 / 2.4) - 0.055
    return torch.where(intensity <= 0.0031308, 12.92 * intensity, bright)
