"""Sampling in few steps: noise levels a transformer was made for, and when a pipeline takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler

Sampler = Literal["euler", "lcm"]
Scheduler = FlowMatchEulerDiscreteScheduler | FlowMatchLCMScheduler
SAMPLERS: Mapping[Sampler, type[Scheduler]] = {"euler": FlowMatchEulerDiscreteScheduler, "lcm": FlowMatchLCMScheduler}
"""How one level leads to the next: along the velocity, or by noise that is added anew to the estimated clean latents
(multistep consistency sampling, Song et al. 2023, algorithm 1; Luo et al. 2023)."""


@dataclass(frozen=True, kw_only=True)
class FewSteps:
    """``few_steps`` of ``pipeline.json``: a second transformer that goes from noise to a scene in a few steps.

    Raises:
        ValueError: on construction, for levels that do not fall from noise, or a folder that is no plain name.
    """

    levels: tuple[float, ...]
    """Noise levels sigma of the steps, falling from 1; the last step ends at 0."""
    folder: str | None = None
    """Folder of the transformer, whole weights or low-rank updates of the other one; None: the other one itself."""
    sampler: Sampler = "euler"
    """One of ``SAMPLERS``."""
    default_on: tuple[str, ...] = ("cpu",)
    """Kinds of device on which it is taken unless steps or guidance are asked for."""

    def __post_init__(self) -> None:
        levels = (*self.levels, 0.0)
        if levels[0] != 1.0 or any(high <= low for high, low in pairwise(levels)):
            raise ValueError(f"expected noise levels that fall from 1 and stay above 0, got {self.levels}.")
        if self.folder is not None and (self.folder in ("", ".", "..") or set(self.folder) & set("/\\")):
            raise ValueError(f"expected the name of a folder beside pipeline.json, got {self.folder!r}.")
        if self.sampler not in SAMPLERS:
            raise ValueError(f"expected the sampler to be one of {', '.join(SAMPLERS)}, got {self.sampler!r}.")

    @property
    def steps(self) -> int:
        """How many."""
        return len(self.levels)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What one run is sampled with."""

    steps: int
    """Denoising steps."""
    guidance: float
    """Text guidance; 1 is off."""
    few: FewSteps | None = None
    """The few-step transformer's settings, where that one is taken."""


def choose(
    few: FewSteps | None,
    *,
    steps: int | None,
    guidance: float | None,
    usual: tuple[int, float],
    fast: bool | None,
    device: str,
) -> Choice:
    """Which transformer makes a scene, in how many steps and with how much guidance.

    The few-step one is taken if ``fast`` says so; if ``steps`` is its number; or if nothing is asked for and the model
    takes it by default on this kind of device. It never has guidance, which may have been distilled into it.

    Args:
        few: the model's few-step transformer, if it has one.
        steps: asked for; None leaves them to the model.
        guidance: asked for; None leaves it to the model.
        usual: steps and guidance of the model's other transformer.
        fast: True takes the few-step one, False the other one.
        device: kind of device, such as "cpu".

    Raises:
        ValueError: if ``fast`` is True and there is no such transformer, or steps or guidance do not suit it.
    """
    suits = few is not None and steps in (None, few.steps) and guidance in (None, 1.0)
    if fast and few is None:
        raise ValueError("expected a model with a few-step transformer, this one has none; leave out fast.")
    if fast and few is not None and not suits:
        raise ValueError(
            f"the few-step transformer goes {few.steps} steps without guidance, got steps {steps} and guidance "
            f"{guidance}; leave them out, or leave out fast."
        )
    wanted = fast or (fast is None and few is not None and (steps is not None or device in few.default_on))
    if few is not None and suits and wanted:
        return Choice(steps=few.steps, guidance=1.0, few=few)
    return Choice(
        steps=usual[0] if steps is None else steps, guidance=usual[1] if guidance is None else guidance, few=None
    )


def even_levels(steps: int, shift: float) -> tuple[float, ...]:
    """Levels sigma = s u / (1 + (s - 1) u) of ``steps`` even steps u from 1 towards 0, each as long as the last one.

    diffusers' own schedule ends its last but one step so near to 0 that the last step moves hardly anything: with N
    steps it goes N - 1 of these.
    """
    even = torch.linspace(1, 0, steps + 1, dtype=torch.float64)[1:-1]
    return (1.0, *(shift * even / (1 + (shift - 1) * even)).tolist())


def scheduler_of(sampler: Sampler, levels: tuple[float, ...], device: torch.device | str) -> Scheduler:
    """A scheduler that goes exactly these levels."""
    scheduler = SAMPLERS[sampler](shift=1.0)
    scheduler.set_timesteps(sigmas=list(levels), device=device)
    return scheduler
