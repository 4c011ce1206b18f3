"""Noise of a sensor, in plenty of light and in little.

The signal of a pixel is Poisson with variance ``a x`` for an intensity x in [0, 1] of linear light, and reading it adds
normal noise of variance ``b`` (Foi et al. 2008). The two belong together: ``log b = 2.18 log a + 1.2``, measured on
phone cameras (Brooks et al. 2019, Unprocessing Images for Learned Raw Denoising, eq. 2), where a is .0001 to .012.
Colours are noisy independently of each other: no colour filter array is simulated.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.eval.robustness.perturbations.base import ViewPerturbation
from gen3r.eval.robustness.perturbations.light import light, srgb

DIM_SHOT = 0.002
"""Shot noise of the exposure that ``dim`` takes light from."""
RESTORED = 0.5
"""Share of the lost stops that a camera's gain brings back."""


def read_variance(shot: float) -> float:
    """The read noise b that belongs to a shot noise a."""
    return math.exp(2.18 * math.log(shot) + 1.2)


def expose(intensity: Float[Tensor, "*b"], shot: float, rng: torch.Generator) -> Float[Tensor, "*b"]:
    """What a sensor with shot noise ``shot`` makes of linear intensities; not clipped. Drawn where ``rng`` lives."""
    here = intensity.to(rng.device, torch.float32)
    counted = torch.poisson(here / shot, generator=rng) * shot
    read = torch.randn(here.shape, generator=rng, device=rng.device) * math.sqrt(read_variance(shot))
    return (counted + read).to(intensity)


def add_noise(pictures: Float[Tensor, "V 3 H W"], shot: float, rng: torch.Generator) -> Float[Tensor, "V 3 H W"]:
    """Poisson-Gaussian noise, ``shot`` being its variance at white: 0.01 is 100 photons."""
    return srgb(expose(light(pictures), shot, rng))


def dim(pictures: Float[Tensor, "V 3 H W"], stops: float, rng: torch.Generator) -> Float[Tensor, "V 3 H W"]:
    """``stops`` less light on a sensor with ``DIM_SHOT``, and a gain that brings back half of them, noise and all."""
    dark = expose(light(pictures) * 2**-stops, DIM_SHOT, rng)
    return srgb(dark * 2 ** (RESTORED * stops))


SENSOR_NOISE = ViewPerturbation(
    title="sensor noise", unit=" variance at white", strengths=(0.003, 0.01, 0.03), change=add_noise
)
LOW_LIGHT = ViewPerturbation(title="low light", unit=" stops less light", strengths=(1.0, 2.0, 4.0), change=dim)
