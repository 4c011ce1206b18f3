"""Blur of light: a lens out of focus, a camera that moved. Lengths are per cent of the picture's height."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from gen3r.eval.robustness.perturbations.base import ViewPerturbation
from gen3r.eval.robustness.perturbations.light import light, srgb
from gen3r.train.rng import uniform

FINE = 8
"""Kernels are drawn this many times finer per axis, then averaged."""


def defocus(pictures: Float[Tensor, "V 3 H W"], percent: float, rng: torch.Generator) -> Float[Tensor, "V 3 H W"]:
    """Every point becomes a disc of radius ``percent`` of the height; nothing is random."""
    radius = percent / 100 * pictures.shape[-2]
    x, y = _plane(radius)
    return _filtered(pictures, (x.square() + y.square() <= max(radius, 1 / FINE) ** 2).float())


def shake(pictures: Float[Tensor, "V 3 H W"], percent: float, rng: torch.Generator) -> Float[Tensor, "V 3 H W"]:
    """Every point becomes a line of length ``percent`` of the height and one pixel wide, in one random direction."""
    angle, half = uniform(rng, 0.0, math.pi), percent / 200 * pictures.shape[-2]
    x, y = _plane(half + 0.5)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return _filtered(pictures, ((along.abs() <= half + 0.5) & (across.abs() <= 0.5)).float())


def _plane(reach: float) -> tuple[Tensor, Tensor]:
    """Fine pixel positions (x, y) of an odd square that holds everything up to ``reach`` pixels from its centre."""
    side = 2 * math.ceil(reach) + 1
    steps = (torch.arange(side * FINE) + 0.5) / FINE - side / 2
    x, y = torch.meshgrid(steps, steps, indexing="xy")
    return x, y


def _filtered(pictures: Tensor, fine: Float[Tensor, "rows columns"]) -> Tensor:
    kernel = functional.avg_pool2d(fine[None, None], FINE).to(pictures)
    margin = kernel.shape[-1] // 2
    padded = functional.pad(light(pictures), [margin] * 4, mode="replicate")
    return srgb(functional.conv2d(padded.flatten(0, 1)[:, None], kernel / kernel.sum()).view(pictures.shape))


DEFOCUS = ViewPerturbation(title="out of focus", unit=" % of the height", strengths=(1.0, 2.0, 4.0), change=defocus)
SHAKE = ViewPerturbation(title="motion blur", unit=" % of the height", strengths=(2.0, 4.0, 8.0), change=shake)
