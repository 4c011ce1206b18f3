"""What clips are ranked by, and where results files hold it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.suite.tables.geometry_columns import AGREEMENT, DEPTH
from gen3r.eval.suite.tables.picture_columns import LAST
from gen3r.eval.suite.tables.prediction import Prediction


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One ranking of the clips, for scenes generated from the first frame and the true cameras."""

    key: str
    """In files."""
    title: str
    """Above the clips."""
    quantity: Quantity
    """What is ranked."""
    names: tuple[str, ...]
    """What results files call it."""
    score: Callable[[Prediction, Truth], Scores]
    """Measures it, among others."""
    column: str
    """What ``score`` calls it."""
    depth: bool = False
    """Whether a clip must have true depth."""

    def errors(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The numbers turned so that larger is worse."""
        sign = -1.0 if self.quantity.higher_is_better else 1.0
        return {clip: sign * number for clip, number in numbers.items()}

    def worst(self, numbers: Mapping[str, float], count: int) -> list[str]:
        """Names of the ``count`` worst clips, the worst first; of equals the one that comes first."""
        errors = self.errors(numbers)
        return sorted(errors, key=lambda clip: -errors[clip])[:count]

    def written(self, number: float) -> str:
        """A number with its unit."""
        return f"{number:.2f} {self.quantity.unit}" if self.quantity.unit else f"{number:.3f}"


CRITERIA = (
    Criterion(
        key="depth",
        title="depth",
        quantity=DEPTH.quantities["absrel"],
        names=("joint1/absrel", "gen1/absrel", "gen1_absrel"),
        score=DEPTH.score,
        column="absrel",
        depth=True,
    ),
    Criterion(
        key="consistency",
        title="consistency of frames, depth and cameras",
        quantity=AGREEMENT.quantities["agree_psnr"],
        names=("joint1/agree_psnr", "gen1/agree_psnr", "gen1_agree_psnr"),
        score=AGREEMENT.score,
        column="agree_psnr",
    ),
    Criterion(
        key="psnr",
        title="last frame",
        quantity=LAST.quantities["last_psnr"],
        names=("gen1/last_psnr", "gen1_last_psnr"),
        score=LAST.score,
        column="last_psnr",
    ),
)
"""The rankings of the gallery."""


def recorded_numbers(records: Sequence[Mapping[str, Any]], criterion: Criterion) -> dict[str, float]:
    """Name of each clip -> its number in the first results record that has it; empty if none does."""
    for record in records:
        for name in criterion.names:
            found = {clip: scores[name] for clip, scores in record["clips"].items() if name in scores}
            if found:
                return found
    return {}


def measured(prediction: Prediction, truth: Truth) -> Scores:
    """The number of every criterion that the clip can be judged by, by key."""
    return {
        criterion.key: criterion.score(prediction, truth)[criterion.column]
        for criterion in CRITERIA
        if truth.has_depth or not criterion.depth
    }
