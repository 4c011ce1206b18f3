"""Noise levels of flow matching: any level, or those of the official training's table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from jaxtyping import Float, Int
from torch import Tensor

from gen3r.presets.stages import NoiseConfig
from gen3r.train.rng import Rng, uniforms

TIMESTEPS = 1000
"""Levels of the table; the transformer is told 1000 sigma."""


def shifted(uniform: Float[Tensor, "*b"], shift: float) -> Float[Tensor, "*b"]:
    """Noise level sigma = s u / (1 + (s - 1) u) of the training schedule."""
    return shift * uniform / (1 + (shift - 1) * uniform)


def stratum(place: int, total: int) -> tuple[float, float]:
    """The part of all levels, from noisiest (0) to cleanest (1), that sample ``place`` of ``total`` draws from.

    The samples of a step share gcd(total, 1000) equal parts evenly, in order: the official rule for processes, applied
    to samples, so that the number of processes does not matter.
    """
    parts = math.gcd(total, TIMESTEPS)
    part = place * parts // total
    return part / parts, (part + 1) / parts


@dataclass(frozen=True)
class NoiseLevels:
    """Some drawn noise levels."""

    sigma: Float[Tensor, " b"]
    """Share of noise in the mixture."""
    timestep: Float[Tensor, " b"]
    """What the transformer is told."""


def draw_levels(
    count: int,
    config: NoiseConfig,
    shift: float,
    rng: Rng,
    device: torch.device | str = "cpu",
    strata: Float[Tensor, "b two"] | None = None,
) -> NoiseLevels:
    """Noise levels for ``count`` samples, each drawn by itself, within its ``stratum`` if there are ``strata``."""
    uniform = uniforms((count,), rng, device)
    if strata is not None:
        low, high = strata.to(uniform).unbind(1)
        uniform = low + (high - low) * uniform
    if config.table:
        return table_levels((uniform * TIMESTEPS).long().clamp(0, TIMESTEPS - 1), config, shift)
    sigma = shifted(uniform if strata is None else 1 - uniform, shift)
    return _rounded(sigma, sigma * TIMESTEPS, config)


def table_levels(indices: Int[Tensor, " b"], config: NoiseConfig, shift: float) -> NoiseLevels:
    """The levels at these places of the official table, 0 is the noisiest."""
    sigmas, timesteps = _table(shift)
    return _rounded(sigmas.to(indices.device)[indices], timesteps.to(indices.device)[indices], config)


@lru_cache(maxsize=4)
def _table(shift: float) -> tuple[Tensor, Tensor]:
    schedule = FlowMatchEulerDiscreteScheduler(num_train_timesteps=TIMESTEPS, shift=shift)
    return cast(Tensor, schedule.sigmas), cast(Tensor, schedule.timesteps)


def _rounded(sigma: Tensor, timestep: Tensor, config: NoiseConfig) -> NoiseLevels:
    return NoiseLevels(sigma.bfloat16().float() if config.bfloat16 else sigma, timestep)
