"""A table of predictions: each row is a way to predict a clip, judged by the groups of columns that apply to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.suite.benchmark import Curve, Needs, SuiteSettings, cell
from gen3r.eval.suite.tables.chunk import Chunk, Given
from gen3r.eval.suite.tables.columns import Columns
from gen3r.eval.suite.tables.prediction import Prediction
from gen3r.pipeline import Gen3RPipeline

Predict = Callable[[Chunk, int], Prediction]
"""A prediction of the clip at a place of a chunk; what stops it is raised."""
SECONDS = Quantity(meaning="time to generate, per clip", unit="s", higher_is_better=False, worst=None)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A way to predict clips."""

    shows: str
    """Label."""
    predict: Predict
    """What is judged."""
    columns: Sequence[Columns]
    """By what."""
    timed: Given | None = None
    """The generation whose time the row tells; None: none."""
    depth: bool = False
    """Whether only clips with true depth can be predicted."""
    possible: Callable[[Gen3RPipeline], bool] = field(default=lambda pipeline: True)
    """Whether a model has what it takes; if not, its cells stay empty."""


@dataclass(frozen=True, kw_only=True)
class PredictionTable:
    """A ``Benchmark`` made of rows."""

    name: str
    """On the command line and in file names."""
    title: str
    """Above the table."""
    needs: Needs
    """Clips without these are left out."""
    ways: Mapping[str, Row]
    """The rows by their keys."""
    never: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the paper has and this table never can -> why."""

    @property
    def rows(self) -> Mapping[str, str]:
        """Key of a row -> what it shows."""
        return {key: row.shows for key, row in self.ways.items()}

    @property
    def columns(self) -> Mapping[str, Quantity]:
        """Key of a column -> what is measured; time comes last."""
        found = {
            key: quantity
            for _, group in self._groups()
            if not group.curve
            for key, quantity in group.quantities.items()
        }
        return found | ({"seconds": SECONDS} if any(row.timed for row in self.ways.values()) else {})

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the quantities that are measured on this machine."""
        judged = (cell(key, column) for key, group in self._groups() if not group.curve for column in group.quantities)
        return (*judged, *(cell(key, "seconds") for key, row in self.ways.items() if row.timed))

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Curves beside the table."""
        rows: dict[str, tuple[Curve, list[str]]] = {}
        for key, group in self._groups():
            if group.curve:
                rows.setdefault(group.curve.title, (group.curve, []))[1].append(key)
        return tuple(replace(curve, rows=tuple(keys)) for curve, keys in rows.values())

    @property
    def absent(self) -> Mapping[str, str]:
        """What is not measured on this machine -> why."""
        groups = [group for row in self.ways.values() for group in row.columns]
        return dict(self.never) | {
            column: str(why) for group in groups if (why := group.absent()) for column in group.quantities
        }

    def measure(self, tally: Tally, pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings) -> None:
        """Judge every row on every clip; what stops a model on a clip counts as the worst value of its columns."""
        chunk = Chunk(pipeline, truths, settings)
        for key, row in self.ways.items():
            if row.possible(pipeline):
                for place, truth in enumerate(truths):
                    self._judge(tally, chunk, place, truth, key, row)

    def _judge(self, tally: Tally, chunk: Chunk, place: int, truth: Truth, key: str, row: Row) -> None:
        if row.depth and not truth.has_depth:
            return
        if row.timed is not None:
            tally.add(truth.seed, {cell(key, "seconds"): chunk.seconds(row.timed)})
        for group in present(row):
            if truth.has_depth or not group.depth:
                tally.attempt(
                    f"{row.shows}: {group.title}",
                    truth.seed,
                    [cell(key, column) for column in group.quantities],
                    lambda group=group: judged(chunk, place, key, row, group),
                )

    def _groups(self) -> Iterator[tuple[str, Columns]]:
        for key, row in self.ways.items():
            for group in present(row):
                yield key, group


def present(row: Row) -> list[Columns]:
    """The groups of columns of a row that can be measured on this machine."""
    return [group for group in row.columns if group.absent() is None]


def judged(chunk: Chunk, place: int, key: str, row: Row, group: Columns) -> Scores:
    """The cells of one row, clip and group of columns."""
    scores = group.score(row.predict(chunk, place), chunk.truths[place])
    return {cell(key, column): scores[column] for column in group.quantities}
