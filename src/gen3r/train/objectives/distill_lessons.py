"""What a student that goes few steps is taught: points of the flow, and the velocities it should have there.

Clean latents are at noise level 0, noise at 1; x_sigma moves along dx/dsigma = v. The levels are cut into segments; a
student that has learnt them goes each in one step. The student's velocity at (x, sigma) is that of the straight line to
where the teacher's flow leaves the segment:

    v(x, sigma) = (x - x_end) / (sigma - sigma_end)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.pipeline.few_steps import Sampler
from gen3r.train.rng import Rng, normal, uniforms

Latents = Float[Tensor, "b c f h w2"]
Levels = Float[Tensor, " b"]
Velocity = Callable[[Tensor, Tensor], Tensor]
"""Latents [b, c, f, h, w2] and noise levels [b] to velocities, without gradients."""


@dataclass(frozen=True)
class Lesson:
    """One point of the flow for every clip of a batch."""

    noisy: Latents
    """The point."""
    sigma: Levels
    """Its noise level."""
    velocity: Latents
    """What the student should say there."""


@dataclass(frozen=True, kw_only=True)
class Class:
    """What lessons are made from."""

    teacher: Velocity
    """The flow to be followed, guidance included."""
    target: Velocity
    """The student as it was: its average over the last steps."""
    levels: tuple[float, ...]
    """The student's noise levels, see ``few_steps.even_levels``."""
    shift: float
    """Of the teacher's schedule."""
    substeps: int
    """Steps of the teacher for each of the student's."""


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A way to make lessons."""

    paper: str
    """Where it is from."""
    whole: bool = False
    """All levels are one segment."""
    sampler: Sampler = "euler"
    """How its students are sampled."""
    asks_student: ClassVar[bool]
    """Whether lessons depend on the student as it was."""

    @abstractmethod
    def lessons(self, clean: Latents, rng: Rng, given: Class) -> list[Lesson]:
        """Some lessons on a batch of clips, which all have the conditions of this batch."""
        ...


@dataclass(frozen=True, kw_only=True)
class Couples(Method):
    """Lessons on the teacher's own paths from noise: where they enter and leave each segment."""

    inside: bool = False
    """Lessons are anywhere on the straight line through a segment, as in flow matching; otherwise where it begins, the
    only place that sampling will ever ask about."""
    asks_student: ClassVar[bool] = False

    def lessons(self, clean: Latents, rng: Rng, given: Class) -> list[Lesson]:
        """One lesson for each of the student's steps."""
        count = len(given.levels)
        path = teacher_path(normal(clean.shape, rng, clean.device), given)
        made = []
        for step in range(count):
            first, last = (0, count) if self.whole else (step, step + 1)
            start, end = path[first][1], path[last][1]
            (high, _), (low, _) = path[first], path[last]
            velocity = (start - end) / (high - low)
            sigma = torch.full((len(clean),), high, device=clean.device)
            if self.inside:
                uniform = uniforms((len(clean),), rng, clean.device)
                sigma = low + (high - low) * ((step + uniform) / count if self.whole else uniform)
            made.append(Lesson(end + _wide(sigma - low) * velocity, sigma, velocity))
        return made


@dataclass(frozen=True, kw_only=True)
class Consistency(Method):
    """Lessons on noised clips: one step of the teacher, from where the student as it was goes to the segment's end."""

    asks_student: ClassVar[bool] = True

    def lessons(self, clean: Latents, rng: Rng, given: Class) -> list[Lesson]:
        """One lesson on each clip, at a level of its own."""
        fine = teacher_levels(given, clean.device)
        place = (uniforms((len(clean),), rng, clean.device) * (len(fine) - 1)).long().clamp(max=len(fine) - 2)
        sigma, after = fine[place], fine[place + 1]
        end = torch.zeros_like(sigma) if self.whole else fine[(place // given.substeps + 1) * given.substeps]
        noise = normal(clean.shape, rng, clean.device)
        noisy = _wide(1 - sigma) * clean + _wide(sigma) * noise
        moved = noisy + _wide(after - sigma) * given.teacher(noisy, sigma)
        final = ended(moved, after, end, given.target)
        return [Lesson(noisy, sigma, (noisy - final) / _wide(sigma - end))]


def ended(latents: Latents, sigma: Levels, end: Levels, velocity: Velocity) -> Latents:
    """Where one step from ``sigma`` to ``end`` leads; latents that are there already stay as they are, exactly."""
    return latents + _wide(end - sigma) * velocity(latents, sigma)


def teacher_levels(given: Class, device: torch.device | str = "cpu") -> Float[Tensor, " n"]:
    """Every level of the teacher's steps from 1 down to 0; each ``substeps``-th is one of the student's.

    Within a segment they are even in the unshifted time of the schedule, and so over all levels where the student's are
    ``even_levels``.
    """
    shift = given.shift
    ends = [sigma / (shift - (shift - 1) * sigma) for sigma in (*given.levels, 0.0)]
    even = [
        high + (low - high) * part / given.substeps for high, low in pairwise(ends) for part in range(given.substeps)
    ]
    unshifted = torch.tensor([*even, 0.0], dtype=torch.float64)
    return (shift * unshifted / (1 + (shift - 1) * unshifted)).float().to(device)


def teacher_path(noise: Latents, given: Class) -> list[tuple[float, Latents]]:
    """(level, latents) at each of the student's levels and at 0, along the teacher's Euler steps from noise."""
    fine, latents = teacher_levels(given, noise.device), noise
    path = [(given.levels[0], noise)]
    for index, (high, low) in enumerate(pairwise(fine), start=1):
        latents = latents + (low - high) * given.teacher(latents, high.expand(len(latents)))
        if index % given.substeps == 0:
            path.append(((*given.levels, 0.0)[index // given.substeps], latents))
    return path


METHODS: Mapping[str, Method] = {
    "reflow": Couples(paper="rectified flow: Liu et al. 2022, arXiv 2209.03003", whole=True, inside=True),
    "perflow": Couples(paper="piecewise rectified flow: Yan et al. 2024, arXiv 2405.07510", inside=True),
    "progressive": Couples(
        paper="progressive distillation in one stage: Salimans and Ho 2022, arXiv 2202.00512; Meng et al. 2022, "
        "arXiv 2210.03142"
    ),
    "consistency": Consistency(
        paper="consistency distillation: Song et al. 2023, arXiv 2303.01469; Luo et al. 2023, arXiv 2310.04378",
        whole=True,
        sampler="lcm",
    ),
    "phased": Consistency(
        paper="consistency within segments: Heek et al. 2024, arXiv 2403.06807; Wang et al. 2024, arXiv 2405.18407"
    ),
}
"""By the name in presets and on the command line."""


def _wide(levels: Float[Tensor, " b"]) -> Float[Tensor, "b one one one one"]:
    return levels.view(-1, 1, 1, 1, 1)
