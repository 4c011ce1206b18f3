"""What training runs say of themselves: stages, steps, settings, hours, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3r.hub.files import read_json_object
from gen3r.train.checkpoint import FACTS, list_checkpoints
from gen3r.train.hooks import LOG_FILE, read_log
from gen3r.train.recipe.progress import FILE as RECIPE_FILE

VALIDATION = "val/"
"""What the names of validated numbers begin with."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One run of one stage."""

    name: str
    """Of its folder."""
    stage: str
    """What was trained; "not known" without checkpoints."""
    steps: int
    """Optimizer steps that are logged."""
    hours: float
    """Of all its sittings together, as far as they are logged."""
    loop: Mapping[str, Any]
    """Settings of the loop: batch_size, lr, ..."""
    data: Mapping[str, Any]
    """What the clips are; empty for runs that did not note it."""
    validation: Mapping[str, Sequence[tuple[int, float]]]
    """Name of each validated number -> (step, number), by steps."""

    @classmethod
    def read(cls, folder: Path) -> TrainingRun:
        """From the log and the last checkpoint.

        Raises:
            ValueError: for a folder without a log.
        """
        lines = read_log(folder)
        if not lines:
            raise ValueError(f"expected a training run with a {LOG_FILE}, found none in {folder}.")
        checkpoints = list_checkpoints(folder)
        facts = read_json_object(checkpoints[-1] / FACTS) if checkpoints else {}
        points: dict[str, dict[int, float]] = {}
        for line in lines:
            for name, value in line.items():
                if name.startswith(VALIDATION):
                    points.setdefault(name.removeprefix(VALIDATION), {})[int(line["step"])] = float(value)
        return cls(
            name=folder.name,
            stage=facts.get("stage", "not known"),
            steps=max(int(line["step"]) for line in lines),
            hours=_seconds(lines) / 3600,
            loop=facts.get("loop", {}),
            data=facts.get("data", {}),
            validation={name: tuple(sorted(found.items())) for name, found in points.items()},
        )


def read_runs(folders: Sequence[Path]) -> list[TrainingRun]:
    """The runs, in order; a run of a recipe counts as its legs.

    Raises:
        ValueError: for a folder that is no run.
    """
    runs = []
    for folder in folders:
        legs = [folder]
        if (folder / RECIPE_FILE).is_file():
            names = read_json_object(folder / RECIPE_FILE)["legs"]
            legs = [folder / name for name in names if (folder / name / LOG_FILE).is_file()]
        runs += [TrainingRun.read(leg) for leg in legs]
    return runs


def runs_table(runs: Sequence[TrainingRun]) -> str:
    """A Markdown table of runs: what, how long, on what."""
    lines = ["| run | stage | steps | batch | learning rate | hours | clips |", "|---|---|---:|---:|---:|---:|---|"]
    for run in runs:
        batch, rate = run.loop.get("batch_size", ""), run.loop.get("lr")
        cells = (
            run.name,
            run.stage,
            f"{run.steps:,}",
            str(batch),
            "" if rate is None else f"{rate:g}",
            f"{run.hours:.2f}",
            _clips(run.data),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _clips(data: Mapping[str, Any]) -> str:
    if not data:
        return "not noted"
    size = data.get("size")
    parts = [str(data["clips"]) if "clips" in data else "", data.get("kind", "")]
    parts.append("" if size is None else "x".join(map(str, size)))
    return " ".join(part for part in parts if part)


def _seconds(lines: Sequence[Mapping[str, float | int]]) -> float:
    """The clock of a log starts anew in every sitting."""
    spent, last = 0.0, 0.0
    for line in lines:
        if line["seconds"] < last:
            spent += last
        last = line["seconds"]
    return float(spent + last)
