"""Validation curves of training runs as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gen3r.eval.card_runs import TrainingRun
from gen3r.eval.plots.table import COLOURS
from gen3r.whole_file import whole_file

PANELS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "VAE: PSNR, dB": ("vae", ("psnr", "average_psnr")),
    "VGGT: depth AbsRel": ("vggt", ("absrel",)),
    "VGGT: median rotation error, degrees": ("vggt", ("rotation_degrees", "identity_degrees")),
    "adapter: depth AbsRel": ("adapter", ("mode_absrel", "vggt_absrel")),
    "diffusion: velocity error": ("diffusion", ("appearance_0.5", "geometry_0.5")),
    "student: distance to its teacher": ("distill", ("total", "same_steps")),
    "decoders: PSNR of denoised clips, dB": ("decoders", ("psnr", "clean_psnr")),
    "decoders: their depth AbsRel": ("decoders", ("absrel", "clean_absrel")),
    "decoders: median rotation error, degrees": ("decoders", ("degrees", "clean_degrees")),
}
"""Title -> stage, and the numbers it shows: what is trained, then what it is compared with."""
WIDTH, HEIGHT, ACROSS = 4.0, 3.0, 3


def save_curves(runs: Sequence[TrainingRun], path: Path) -> None:
    """Write the curves as a PNG.

    Raises:
        ValueError: if no run was validated.
    """
    figure = curves(runs)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def curves(runs: Sequence[TrainingRun]) -> Figure:
    """A panel for every pair of numbers that was validated. Runs of one stage follow each other.

    Raises:
        ValueError: if no run was validated.
    """
    panels = [(title, stage, names) for title, (stage, names) in PANELS.items() if _has(runs, stage, names[0])]
    if not panels:
        raise ValueError("none of the runs was validated; there are no curves to draw.")
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(WIDTH * across, HEIGHT * down), layout="constrained")
    FigureCanvasAgg(figure)
    for index, (title, stage, names) in enumerate(panels):
        _panel(figure.add_subplot(down, across, index + 1), title, [run for run in runs if run.stage == stage], names)
    return figure


def _has(runs: Sequence[TrainingRun], stage: str, name: str) -> bool:
    return any(run.stage == stage and name in run.validation for run in runs)


def _panel(axes: Axes, title: str, runs: Sequence[TrainingRun], names: Sequence[str]) -> None:
    before = 0
    for number, run in enumerate(runs):
        first = min((points[0][0] for points in run.validation.values()), default=0)
        if first > before:  # steps are counted on from the run before
            before = 0
        for name, colour in zip(names, COLOURS, strict=False):
            points = run.validation.get(name, ())
            xs, ys = [before + step for step, _ in points], [value for _, value in points]
            axes.plot(xs, ys, marker=".", color=colour, label=name if number == 0 else None)
        before += run.steps
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("steps", fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
