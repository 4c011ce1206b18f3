"""Numbers per clip, with failures counted at their worst value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from gen3r.eval.benchmarks.quantities import ALL_QUANTITIES, QUANTITIES, Quantity
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.metrics.bootstrap import Interval, bootstrap_mean


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A clip without a usable result."""

    seed: int
    """Of the clip (``Truth.seed``)."""
    stage: str
    """What was asked of the model."""
    error: str
    """Why there is no number."""


@dataclass
class Tally:
    """Everything measured so far."""

    scores: dict[int, Scores] = field(default_factory=dict)
    """Clip (``Truth.seed``) -> quantity -> number."""
    failures: list[Failure] = field(default_factory=list)
    """Clips and stages that gave no number, in order."""
    quantities: Mapping[str, Quantity] = field(default_factory=lambda: QUANTITIES)
    """What the benchmark measures."""

    def add(self, seed: int, scores: Scores) -> None:
        """Note numbers of one clip."""
        self.scores.setdefault(seed, {}).update(scores)

    def attempt(self, stage: str, seed: int, quantities: Sequence[str], measure: Callable[[], Scores]) -> None:
        """Measure; an exception or a number that is not finite gives the worst value of every quantity and is noted."""
        try:
            scores = measure()
            lost = [name for name in quantities if not isfinite(scores[name])]
            if lost:
                raise ValueError(f"{', '.join(lost)} are not finite.")
        except Exception as error:  # noqa: BLE001  whatever stops a clip is that clip's failure, and is reported
            self.failures.append(Failure(seed=seed, stage=stage, error=f"{type(error).__name__}: {error}"))
            scores = {name: worst_value(name, self.quantities) for name in quantities}
        self.add(seed, scores)

    def intervals(self) -> dict[str, Interval]:
        """Mean and bootstrap interval of every quantity over the clips that have it; none of what no clip has."""
        columns = {name: [clip[name] for clip in self.scores.values() if name in clip] for name in self.quantities}
        return {name: bootstrap_mean(values) for name, values in columns.items() if values}


def worst_value(name: str, quantities: Mapping[str, Quantity] = ALL_QUANTITIES) -> float:
    """What a failed clip scores."""
    worst = quantities[name].worst
    if worst is None:
        raise ValueError(f"{name} is measured for failed clips too; it has no worst value.")
    return worst
