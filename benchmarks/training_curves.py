"""What the training runs of a model logged, in one file: stage, steps, hours, schedule, and every validated number.

python benchmarks/training_curves.py --runs runs/vae runs/vggt runs/adapter runs/diffusion --out curves.json

Runs are in order; of one stage the later goes on from the weights of the earlier. `gen3r eval card` draws them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from gen3r.eval.card_runs import read_runs
from gen3r.whole_file import whole_file

SCHEDULE = ("batch_size", "lr", "precision", "threads")


@dataclass(frozen=True, kw_only=True)
class TrainingCurves:
    """Collect the logs of some runs."""

    runs: tuple[Path, ...]
    """Their folders, in order."""
    out: Path
    """The file; replaced if it is there."""


def main() -> None:
    """Read and write."""
    settings = tyro.cli(TrainingCurves, description=__doc__)
    record = [
        {
            "run": run.name,
            "stage": run.stage,
            "steps": run.steps,
            "hours": round(run.hours, 2),
            "clips": run.data.get("clips"),
            "loop": {name: run.loop.get(name) for name in SCHEDULE},
            "validation": {
                name: [[step, round(value, 4)] for step, value in points] for name, points in run.validation.items()
            },
        }
        for run in read_runs(settings.runs)
    ]
    with whole_file(settings.out) as temporary:
        temporary.write_text("\n".join(["[", ",\n".join(json.dumps(run) for run in record), "]", ""]))


if __name__ == "__main__":
    main()
