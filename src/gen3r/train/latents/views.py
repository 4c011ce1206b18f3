"""Which frames of a clip are given, among the choices that were encoded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from gen3r.conditioning.views import ViewSampler

FIRST, ENDS, EVERYTHING, NOTHING = range(4)
"""Choices that every clip has, by number; random subsets follow."""
FIXED_CHOICES = 4
"""First frame, both ends, all frames, no frame."""


def view_choices(count: int, frames: int, subsets: int, rng: torch.Generator) -> Bool[Tensor, "n k F"]:
    """First frame, both ends, all frames, no frame, then random subsets, for each clip."""
    samplers = [
        ViewSampler(first=1.0, ends=0.0, everything=0.0),
        ViewSampler(first=0.0, ends=1.0, everything=0.0),
        ViewSampler(first=0.0, ends=0.0, everything=1.0),
        ViewSampler(first=0.0, ends=0.0, everything=0.0, nothing=1.0),
        *[ViewSampler(first=0.0, ends=0.0, everything=0.0, anything=1.0)] * subsets,
    ]
    return torch.stack([sampler.sample(count, frames, rng) for sampler in samplers], dim=1)


def choose_view(weights: Sequence[float], subsets: int, rng: torch.Generator, count: int) -> Int[Tensor, " n"]:
    """For each of ``count`` samples a choice of views, by weights (first, ends, everything, nothing, anything)."""
    kinds = torch.multinomial(torch.tensor(weights), count, replacement=True, generator=rng)
    random = FIXED_CHOICES + torch.randint(0, max(1, subsets), (count,), generator=rng)
    return torch.where(kinds == FIXED_CHOICES, random, kinds)
