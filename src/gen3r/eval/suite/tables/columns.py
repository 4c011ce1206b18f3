"""Groups of columns: what a prediction can be judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.absent import Absent
from gen3r.eval.suite.benchmark import Curve
from gen3r.eval.suite.tables.prediction import Prediction

Score = Callable[[Prediction, Truth], Scores]
"""Every column of one prediction; what makes a prediction unusable is raised."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Numbers that are measured together."""

    title: str
    """What is judged, for messages about failures."""
    quantities: Mapping[str, Quantity]
    """Key of a column -> what is measured."""
    score: Score
    """How."""
    absence: Callable[[], Absent | None] | None = None
    """What keeps it from being measured on this machine; None: nothing ever does."""
    depth: bool = False
    """Whether only clips with true depth can be judged."""
    curve: Curve | None = None
    """The numbers are the points of this curve, which lacks its rows, and not columns of the table."""

    def absent(self) -> Absent | None:
        """Why it is not measured on this machine; None if it is."""
        return None if self.absence is None else self.absence()


def share(meaning: str) -> Quantity:
    """A quantity from 0, which failures get, to 1, the best."""
    return Quantity(meaning=meaning, unit="", higher_is_better=True, worst=0.0)


def error(meaning: str, worst: float, unit: str = "") -> Quantity:
    """A quantity whose best value is 0."""
    return Quantity(meaning=meaning, unit=unit, higher_is_better=False, worst=worst)


def decibels(meaning: str) -> Quantity:
    """A peak signal-to-noise ratio; failures get 0."""
    return Quantity(meaning=meaning, unit="dB", higher_is_better=True, worst=0.0)
