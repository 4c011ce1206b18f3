"""Curves of every score over the steps, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gen3r.eval.plots.table import ACROSS, COLOURS, MARKS
from gen3r.eval.steps.quantities import COLUMNS, HEADINGS, row_of
from gen3r.eval.steps.verdict import WITHIN
from gen3r.whole_file import whole_file


def draw_curves(record: Mapping[str, Any], path: Path) -> None:
    """Write a results record of ``gen3r eval steps`` as a PNG: a panel per score, a curve per subject."""
    figure = curves(record)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def curves(record: Mapping[str, Any]) -> Figure:
    """The figure; the grey band is what a score may lose against the dashed reference."""
    figure = Figure(figsize=(4.2 * ACROSS, 3.1 * ceil(len(COLUMNS) / ACROSS)), layout="constrained")
    FigureCanvasAgg(figure)
    count = len(record["clips"])
    figure.suptitle(f"Scores over denoising steps ({count} clips, means with 95 % intervals)", fontsize=11)
    for place, column in enumerate(COLUMNS, start=1):
        axes = figure.add_subplot(ceil(len(COLUMNS) / ACROSS), ACROSS, place)
        _panel(axes, record, column)
    return figure


def _panel(axes: Axes, record: Mapping[str, Any], column: str) -> None:
    metrics, quantity = record["metrics"], COLUMNS[column]
    for place, (subject, steps) in enumerate(record["subjects"].items()):
        if column == "same_noise_psnr":  # the reference is itself
            steps = [count for count in steps if row_of(subject, count) != record["reference"]]
        points = [metrics[row_of(subject, count) + column] for count in steps]
        low, mean, high = ([point[key] for point in points] for key in ("low", "mean", "high"))
        colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(steps, mean, marker=mark, markersize=4, color=colour, linewidth=1.5, label=subject)
    if column not in ("seconds", "same_noise_psnr"):
        reference = metrics[record["reference"] + column]["mean"]
        lost = reference * (1 - WITHIN if quantity.higher_is_better else 1 + WITHIN)
        axes.axhline(reference, color="#777777", linestyle="--", linewidth=1)
        axes.axhspan(min(reference, lost), max(reference, lost), color="#777777", alpha=0.15, linewidth=0)
    unit = f", {quantity.unit}" if quantity.unit else ""
    axes.set_title(f"{HEADINGS[column]}{unit} {'↑' if quantity.higher_is_better else '↓'}", fontsize=9)
    axes.set_xscale("log")
    ticks = sorted({count for steps in record["subjects"].values() for count in steps})
    axes.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=7)
    axes.minorticks_off()
    axes.set_xlabel("steps", fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
