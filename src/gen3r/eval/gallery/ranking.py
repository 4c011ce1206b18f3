"""The worst clips by one criterion, and what is said about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gen3r.eval.gallery.causes import Verdict, correlations, verdict
from gen3r.eval.gallery.criteria import CRITERIA, Criterion, recorded_numbers
from gen3r.eval.gallery.making import Measured, largest_change
from gen3r.eval.metrics.bootstrap import bootstrap_mean


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """One list of the gallery."""

    criterion: Criterion
    """What is ranked."""
    numbers: Mapping[str, float]
    """Of every clip, by its name: of the files where they have it, otherwise measured now."""
    recorded: bool
    """Whether they are of the files."""
    change: float
    """Largest relative difference between a clip's number in the files and the one measured now."""
    worst: tuple[str, ...]
    """Names, the worst first. Clips without a scene are not among them."""
    verdicts: Mapping[str, Verdict]
    """Of these."""
    going: Mapping[str, float]
    """Property -> its rank correlation with the error."""

    def record(self) -> dict[str, Any]:
        """As JSON; correlations that mean nothing are null."""
        return {
            "key": self.criterion.key,
            "measured": "in the files" if self.recorded else "for the gallery",
            "largest_change": self.change,
            "mean": asdict(bootstrap_mean(list(self.numbers.values()))),
            "correlations": {key: _number(rho) for key, rho in self.going.items()},
            "worst": [
                {"clip": name, "number": self.numbers[name], "cause": self.verdicts[name].name()}
                | {"says": self.verdicts[name].text()}
                for name in self.worst
            ],
        }


def rankings(records: Sequence[Mapping[str, Any]], measured: Measured, count: int) -> list[Ranking]:
    """The ``count`` worst clips by each criterion that some clip can be judged by."""
    found = []
    for criterion in CRITERIA:
        again = {clip: scores[criterion.key] for clip, scores in measured.scores.items() if criterion.key in scores}
        told = {clip: number for clip, number in recorded_numbers(records, criterion).items() if clip in again}
        numbers = told or again
        if not numbers:
            continue
        going = correlations(measured.properties, criterion.errors(numbers))
        worst = tuple(criterion.worst(numbers, count))
        found.append(
            Ranking(
                criterion=criterion,
                numbers=numbers,
                recorded=bool(told),
                change=largest_change(told, again),
                worst=worst,
                verdicts={clip: verdict(clip, measured.properties, going) for clip in worst},
                going=going,
            )
        )
    return found


def _number(value: float) -> float | None:
    return None if value != value else value
