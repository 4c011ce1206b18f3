"""What a recipe has done so far: JSON in the folder of its run."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gen3r.presets.recipe import Leg, Recipe
from gen3r.whole_file import whole_file

FILE = "recipe.json"


@dataclass(kw_only=True)
class LegProgress:
    """Of one leg."""

    done: bool = False
    """Whether its network is exported."""
    step: int = 0
    """Optimizer steps done."""
    planned: int = 0
    """Steps of the whole leg, as last measured."""
    spent: float = 0.0
    """Seconds of its budget that are used up."""
    budget: float = 0.0
    """Seconds it is given."""
    seconds_per_step: float | None = None
    """As last measured."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the latest validation."""

    @property
    def rank(self) -> tuple[bool, int]:
        """Which of two states of a leg is further."""
        return self.done, self.step


@dataclass(kw_only=True)
class Progress:
    """Of a recipe."""

    preset: str
    """What is trained."""
    minutes: float
    """What the whole recipe is given."""
    sittings: int = 0
    """How often it was begun or gone on with on a machine that had not trained it before: each renders other clips."""
    legs: dict[str, LegProgress] = field(default_factory=dict)
    """By name."""

    def of(self, leg: Leg) -> LegProgress:
        """Of one leg, also of one that has not begun."""
        return self.legs.setdefault(leg.name, LegProgress())

    def write(self, run: Path) -> None:
        """Keep it in the run's folder."""
        run.mkdir(parents=True, exist_ok=True)
        with whole_file(run / FILE) as temporary:
            temporary.write_text(json.dumps(self.plain(), indent=2) + "\n")

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def read(cls, values: dict[str, Any]) -> Progress:
        """From JSON."""
        others: dict[str, Any] = {name: value for name, value in values.items() if name != "legs"}
        return cls(**others, legs={name: LegProgress(**leg) for name, leg in values["legs"].items()})

    def text(self, recipe: Recipe) -> str:
        """One line for people."""
        return ", ".join(f"{leg.name} {_state(self.of(leg))}" for leg in recipe.legs)


def progress_of(run: Path) -> Progress | None:
    """What is kept in a run's folder; None if there is nothing."""
    path = run / FILE
    return Progress.read(json.loads(path.read_text())) if path.is_file() else None


def _state(leg: LegProgress) -> str:
    if leg.done:
        return "done"
    return f"{leg.spent / leg.budget:.0%}" if leg.budget else "0%"
