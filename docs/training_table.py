"""Writes what the training runs of the shipped model logged into docs/training.md.

python docs/training_table.py

Numbers come from benchmarks/results/tiny_training.json, which benchmarks/training_curves.py makes of the runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gen3r.eval.report import fill_tables
from gen3r.whole_file import whole_file

DOCS = Path(__file__).parent
RUNS = DOCS.parent / "benchmarks" / "results" / "tiny_training.json"
DOCUMENT = DOCS / "training.md"
MARKER = "docs/training_table.py"
SHOWN = {
    "vae": {"psnr": "{:.2f} dB"},
    "vggt": {"absrel": "{:.3f}", "rotation_degrees": "{:.2f}"},
    "adapter": {"mode_absrel": "{:.3f}", "mode_degrees": "{:.2f}"},
    "diffusion": {"appearance_0.5": "{:.3f}", "geometry_0.5": "{:.3f}"},
    "distill": {"total": "{:.4f}"},
    "decoders": {"psnr": "{:.2f} dB", "clean_degrees": "{:.2f}"},
}
"""Validated numbers of each stage, and how they are written."""


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Every run with its numbers at the first, the middle and the last validation."""
    lines = ["| stage, run | line of `log.jsonl` | at | value | at | value | at | value |", "|---|---|" + "---:|" * 6]
    for run in runs:
        for name, form in SHOWN[run["stage"]].items():
            points = run["validation"][name]
            cells = [
                f"{step} | {form.format(value)}" for step, value in (points[0], points[len(points) // 2], points[-1])
            ]
            lines.append(f"| `{run['stage']}`, {run['run']} | `val/{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with whole_file(DOCUMENT) as temporary:
        text = DOCUMENT.read_text(encoding="utf-8")
        temporary.write_text(fill_tables(text, MARKER, table(json.loads(RUNS.read_text()))), encoding="utf-8")
