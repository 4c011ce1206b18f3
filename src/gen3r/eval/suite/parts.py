"""Numbers of a few clips on disk, so that a run that was stopped measures nothing twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gen3r.eval.benchmarks.scores import Scores
from gen3r.whole_file import whole_file

PARTS = "parts"
"""Folder of the parts inside the folder of the results; one folder per table in it."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One table measured on clips that were measured together."""

    clips: Mapping[str, Scores]
    """Name of each clip that was measured -> quantity -> number."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Name of each clip that cannot be used -> why."""
    failures: Sequence[Mapping[str, str]] = ()
    """``clip``, ``stage`` and ``error`` of what gave no number."""
    quantities: tuple[str, ...] = ()
    """Names of everything that was to be measured."""
    seconds: float = 0.0
    """Time it took, reading clips included."""
    commit: str | None = None
    """Of the code that measured."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    """Where."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How scenes were generated there."""

    def holds(self, clips: Sequence[str], quantities: Sequence[str]) -> bool:
        """Whether it is of just these clips and quantities."""
        return {*self.clips, *self.left_out} == set(clips) and set(self.quantities) == set(quantities)

    def write(self, path: Path) -> None:
        """Write it whole; NaN is a ValueError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write_text(json.dumps(asdict(self), ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Part | None:
        """The part in a file; None if there is none.

        Raises:
            ValueError: naming the file, if it is something else.
        """
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(**content | {"quantities": tuple(content["quantities"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is damaged ({error}); delete it to measure its clips again.") from error


def part_path(out: Path, benchmark: str, number: int) -> Path:
    """Where a part lies."""
    return out / PARTS / benchmark / f"{number:06d}.json"
