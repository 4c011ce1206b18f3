"""All stages of a preset as one plan: which, one after the other, at which size, for which share of the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Floor:
    """Where a stage is good enough: it ends once a validation says so."""

    metric: str
    """Name of the number as validation gives it, such as "psnr"."""
    value: float
    """What it has to reach."""
    above: bool
    """Whether it has to be at least ``value``, not at most."""

    def reached(self, metrics: Mapping[str, float]) -> bool:
        """Whether these numbers say so; a number that is not among them never does."""
        seen = metrics.get(f"val/{self.metric}", metrics.get(self.metric))
        return seen is not None and (seen >= self.value if self.above else seen <= self.value)


@dataclass(frozen=True, kw_only=True)
class Leg:
    """A stretch of a recipe: one run of one stage, with an optimizer and a schedule of its own."""

    name: str
    """Its folder in the run."""
    stage: str
    """What it trains, see ``gen3r train``."""
    share: float
    """Its share of the recipe's minutes, relative to those of the others."""
    side: int | None = None
    """Rows and columns of its clips in pixels; None: the preset's."""
    loop: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the stage's ``LoopConfig`` that are others here."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the stage that are others here."""
    floor: Floor | None = None
    """Where it may end early."""
    optional: bool = False
    """Whether a model is whole without it."""

    def __post_init__(self) -> None:
        if self.share <= 0:
            raise ValueError(f"expected a share above 0 for {self.name}, got {self.share}.")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a preset is trained as a whole."""

    legs: tuple[Leg, ...]
    """In this order. A later leg of a stage goes on from the averaged weights of the one before."""
    minutes: float
    """What it is planned for, in minutes of training."""
    clips: int
    """Clips that are rendered where no data is given; as many as there is time for, at most these."""
    device: str
    """What the minutes are planned on, in words."""

    def __post_init__(self) -> None:
        names = [leg.name for leg in self.legs]
        if len(set(names)) != len(names):
            raise ValueError(f"expected another name for each leg, got {', '.join(names)}.")

    def seconds(self, leg: Leg, minutes: float | None = None) -> float:
        """The budget of a leg where the whole recipe takes ``minutes`` (None: its own)."""
        return 60 * (minutes or self.minutes) * leg.share / sum(each.share for each in self.legs)
