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

    name: str
    """On the command line and in file names: "t1"."""
    title: str
    """Above the table."""
    needs: Needs
    """Clips without these are left out, and counted."""
    rows: Mapping[str, str]
    """Key of a row -> what it shows."""
    columns: Mapping[str, Quantity]
    """Key of a column -> what is measured; not every row has every column (``cells``)."""
    cells: tuple[str, ...]
    """Names of the quantities that are measured."""

    def measure(
        self, tally: Tally, pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings
    ) -> None:
        """Measure a few clips, generated together, and note every cell of each in the tally (``Tally.attempt``)."""
        ...


def cell(row: str, column: str) -> str:
    """Name of the quantity in a cell."""
    return f"{row}/{column}"
