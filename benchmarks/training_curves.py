"""Validation curves of training runs: collect them from the runs' logs, and draw them.

python benchmarks/training_curves.py collect OUT.json vggt=RUN adapter=RUN diffusion=RUN
python benchmarks/training_curves.py draw CURVES.json PICTURE.png

``vggt@3000=RUN`` leaves out what came before step 3000; a stage may be named twice.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PANELS = {
    "VGGT: depth AbsRel": ("vggt", ("absrel",)),
    "VGGT: median rotation error, degrees": ("vggt", ("rotation_degrees", "identity_degrees")),
    "adapter: depth AbsRel": ("adapter", ("mode_absrel", "vggt_absrel")),
    "diffusion: velocity error": ("diffusion", ("appearance_0.5", "geometry_0.5")),
}


def collect(out: Path, runs: dict[str, list[Path]], first: dict[str, int]) -> None:
    """Write stage -> quantity -> [[step, value], ...]; of a step logged twice the later line counts."""
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for stage, folders in runs.items():
        points: dict[str, dict[int, float]] = {}
        for folder in folders:
            for line in map(json.loads, (folder / "log.jsonl").read_text().splitlines()):
                for name, value in line.items():
                    if name.startswith("val/") and line["step"] >= first.get(stage, 0):
                        points.setdefault(name.removeprefix("val/"), {})[line["step"]] = value
        curves[stage] = {
            name: [[step, round(value, 5)] for step, value in sorted(p.items())] for name, p in points.items()
        }
    out.write_text(json.dumps(curves, indent=1) + "\n")


def draw(source: Path, picture: Path) -> None:
    """One panel per quantity, the second curve being what the first is compared with."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    curves = json.loads(source.read_text())
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(4 * len(PANELS), 3))
    for axis, (title, (stage, names)) in zip(axes, PANELS.items(), strict=True):
        for name in names:
            axis.plot(*zip(*curves[stage][name], strict=True), marker=".", label=name)
        axis.set(title=title, xlabel="steps")
        axis.legend()
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(picture, dpi=100)


def main(command: str, *rest: str) -> None:
    """See the top of this file."""
    if command == "draw":
        return draw(Path(rest[0]), Path(rest[1]))
    runs: dict[str, list[Path]] = {}
    first: dict[str, int] = {}
    for item in rest[1:]:
        stage, _, folder = item.partition("=")
        stage, _, start = stage.partition("@")
        runs.setdefault(stage, []).append(Path(folder))
        first[stage] = int(start or 0)
    return collect(Path(rest[0]), runs, first)


if __name__ == "__main__":
    main(*sys.argv[1:])
