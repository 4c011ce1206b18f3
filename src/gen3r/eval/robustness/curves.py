"""Quality over the strength of what goes wrong, as a picture; several results beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gen3r.eval.robustness.benchmark import SHOWN
from gen3r.eval.robustness.cases import CLEAN, cases_of
from gen3r.eval.robustness.perturbations.base import Perturbation
from gen3r.eval.robustness.perturbations.registry import (
    CAMERA_PERTURBATIONS,
    PERTURBATIONS,
    VIEW_PERTURBATIONS,
)
from gen3r.eval.suite.benchmark import cell
from gen3r.whole_file import whole_file

PANELS = ("last_psnr", "absrel", "auc30", "agreement")
"""Qualities that are drawn, one line of panels each."""
INCHES = (2.5, 1.8)
"""Width and height of a panel."""


def curve(record: Mapping[str, Any], name: str, quality: str) -> list[tuple[float, float, float, float]]:
    """(strength, mean, low, high) of a perturbation in a results record, the clean run at its identity strength.

    Empty if the record does not hold the perturbation.
    """
    perturbation, metrics = PERTURBATIONS[name], record["metrics"]
    names = {case.strength: cell(case.row, quality) for case in cases_of({name: perturbation})}
    found = {strength: metrics[cell_name] for strength, cell_name in names.items() if cell_name in metrics}
    if not found:
        return []
    found[perturbation.identity] = metrics[cell(CLEAN, quality)]
    return [(strength, row["mean"], row["low"], row["high"]) for strength, row in sorted(found.items())]


def draw_curves(records: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write a PNG: columns are perturbations, cameras above views, lines of panels are qualities; shades are intervals.

    Args:
        records: label -> what ``read_results`` returns.
        path: the file to write.

    Raises:
        ValueError: if no record holds any perturbation.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    blocks = [_present(records, group) for group in (CAMERA_PERTURBATIONS, VIEW_PERTURBATIONS)]
    blocks = [block for block in blocks if block]
    if not blocks:
        raise ValueError("these results hold no perturbation; make some with gen3r eval robustness.")
    columns, lines = max(map(len, blocks)), len(blocks) * len(PANELS)
    figure = Figure(figsize=(INCHES[0] * columns + 1, INCHES[1] * lines + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False)
    for line, row in enumerate(axes):
        quality, names = PANELS[line % len(PANELS)], blocks[line // len(PANELS)]
        for axis, name in zip(row, names, strict=False):
            _panel(axis, records, name, quality)
            if line % len(PANELS) == 0:
                axis.set_title(PERTURBATIONS[name].title, fontsize=9)
            if line % len(PANELS) == len(PANELS) - 1:
                axis.set_xlabel(PERTURBATIONS[name].axis, fontsize=8)
        row[0].set_ylabel(SHOWN[quality], fontsize=8)
        for axis in row[len(names) :]:
            axis.set_axis_off()
    for quality in range(len(PANELS)):
        _share_limits([axis for line in axes[quality :: len(PANELS)] for axis in line if axis.axison])
    if len(records) > 1:
        axes[0][0].legend(fontsize=7)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _panel(axis: Any, records: Mapping[str, Mapping[str, Any]], name: str, quality: str) -> None:
    for number, (label, record) in enumerate(records.items()):
        points = curve(record, name, quality)
        if points:
            strengths, means, lows, highs = zip(*points, strict=True)
            axis.plot(strengths, means, marker="o", markersize=3, color=f"C{number}", label=label)
            axis.fill_between(strengths, lows, highs, color=f"C{number}", alpha=0.15, linewidth=0)
    if PERTURBATIONS[name].identity:
        axis.set_xscale("log")
        ticks = PERTURBATIONS[name].strengths
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)


def _present(records: Mapping[str, Mapping[str, Any]], group: Mapping[str, Perturbation]) -> list[str]:
    return [name for name in group if any(curve(record, name, PANELS[0]) for record in records.values())]


def _share_limits(axes: Sequence[Any]) -> None:
    """The same vertical axis wherever the same quality is drawn."""
    lows, highs = zip(*(axis.get_ylim() for axis in axes), strict=True)
    for axis in axes:
        axis.set_ylim(min(lows), max(highs))
