"""What one table is: its rows and columns, and how a few clips are measured for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.pipeline import Gen3RPipeline


@dataclass(frozen=True, kw_only=True)
class SuiteSettings:
    """How scenes are generated for a table."""

    steps: int | None = None
    """Denoising steps; None takes the model's own."""
    guidance: float | None = None
    """Text guidance; None takes the model's own."""
    noise_seed: int = 0
    """Added to a clip's seed to seed its noise."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a clip must bring along to be measured."""

    depth: bool = False
    """True depth."""
    cameras: bool = False
    """True cameras."""
    metric: bool = False
    """Depth and cameras in metres."""


@runtime_checkable
class Benchmark(Protocol):
    """One table. A cell is the quantity ``cell(row, column)``, one number per clip."""

    @property
    def name(self) -> str:
        """On the command line and in file names: "t1"."""
        ...

    @property
    def title(self) -> str:
        """Above the table."""
        ...

    @property
    def needs(self) -> Needs:
        """Clips without these are left out, and counted."""
        ...

    @property
    def rows(self) -> Mapping[str, str]:
        """Key of a row -> what it shows."""
        ...

    @property
    def columns(self) -> Mapping[str, Quantity]:
        """Key of a column -> what is measured; not every row has every column (``cells``)."""
        ...

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the quantities that are measured; those of a ``Curve`` may be left out, they count as well.

        A clip may lack some of them where they do not apply to it (``Truth.has_depth``); a failure has to be noted as
        one.
        """
        ...

    def measure(self, tally: Tally, pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings) -> None:
        """Measure a few clips, generated together, and note every cell of each in the tally (``Tally.attempt``).

        The tally's quantities are the cells; clips are noted by ``Truth.seed``. Clips come in the same groups however
        many processes share the work, so that the same settings give the same numbers.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Numbers over something, one line per row, in the picture beside a table; such as recall over the threshold."""

    title: str
    """Above the curve."""
    x_label: str
    """What the numbers belong to, with its unit."""
    quantity: Quantity
    """What each point is."""
    points: Mapping[str, float]
    """Key of a column -> where on the x axis. Such columns need not be columns of the table."""
    rows: tuple[str, ...]
    """Keys of the rows that have the curve."""


@runtime_checkable
class HasCurves(Protocol):
    """A benchmark that also gives curves."""

    @property
    def curves(self) -> tuple[Curve, ...]:
        """In order."""
        ...


@runtime_checkable
class TellsAbsent(Protocol):
    """A benchmark that cannot measure everything it would here and now."""

    @property
    def absent(self) -> Mapping[str, str]:
        """What is missing, a column or a row -> why, and what would bring it. It is no cell then."""
        ...


def benchmark_quantities(benchmark: Benchmark) -> dict[str, Quantity]:
    """Everything that is measured, by name: cells of the table, then points of curves.

    Raises:
        ValueError: for a cell whose row or column is not there.
    """
    rows, columns, quantities = benchmark.rows, benchmark.columns, dict[str, Quantity]()
    for name in benchmark.cells:
        row, _, column = name.partition("/")
        if row not in rows or column not in columns:
            raise ValueError(f"{benchmark.name} has a cell {name!r} outside its rows and columns.")
        quantities[name] = columns[column]
    for curve in benchmark.curves if isinstance(benchmark, HasCurves) else ():
        for row in curve.rows:
            for point in curve.points:
                quantities.setdefault(cell(row, point), curve.quantity)
    return quantities


def cell(row: str, column: str) -> str:
    """Name of the quantity in a cell."""
    return f"{row}/{column}"
