"""A table as a picture: a panel per column with a dot and its 95 % interval per row, then a panel per curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gen3r.whole_file import whole_file

ACROSS = 3
"""Panels beside each other."""
PANEL_WIDTH, ROW_HEIGHT, FRAME_HEIGHT, CURVE_HEIGHT = 3.6, 0.3, 1.0, 3.0
"""Inches: of a panel, of a row in it, of its title and axis, and of a panel with a curve."""
LABEL_SHARE = 0.085
"""Inches a character of the longest row's label."""
ROOM = 0.05
"""Share of an axis that stays free at each end."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito's palette, which colour-blind people can tell apart."""
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Shapes of points, so that nothing depends on colour alone."""


def save_picture(record: Mapping[str, Any], path: Path) -> None:
    """Write a results record with a table as a PNG.

    Every axis holds 0, so that distances can be compared with the numbers themselves; but those in dB, whose zero means
    nothing, cover the intervals alone.
    """
    figure = picture(record)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def picture(record: Mapping[str, Any]) -> Figure:
    """The figure of a results record with a table."""
    rows, columns = record["table"]["rows"], record["table"]["columns"]
    shown = [column for column in columns if any(row + column in record["metrics"] for row in rows)]
    curves = [curve for curve in record.get("curves", []) if _lines(record, curve)]
    lines, more = ceil(len(shown) / ACROSS), ceil(len(curves) / ACROSS)
    panel = FRAME_HEIGHT + ROW_HEIGHT * len(rows)
    heights = [panel] * lines + [CURVE_HEIGHT] * more
    labels = LABEL_SHARE * max(map(len, rows.values()))
    figure = Figure(figsize=(labels + PANEL_WIDTH * ACROSS, sum(heights) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{record['title']} ({len(record['clips'])} clips, means with 95 % intervals)", fontsize=11)
    grid = figure.add_gridspec(len(heights), ACROSS, height_ratios=heights)
    for index, column in enumerate(shown):
        axes = figure.add_subplot(grid[index // ACROSS, index % ACROSS])
        _dots(axes, record, column, labelled=index % ACROSS == 0)
    for index, curve in enumerate(curves):
        _curve(figure.add_subplot(grid[lines + index // ACROSS, index % ACROSS]), record, curve)
    return figure


def _dots(axes: Axes, record: Mapping[str, Any], column: str, *, labelled: bool) -> None:
    rows, quantity = record["table"]["rows"], record["quantities"][column]
    for place, row in enumerate(rows):
        interval = record["metrics"].get(row + column)
        if interval is None:
            continue
        colour = COLOURS[place % len(COLOURS)]
        axes.hlines(place, interval["low"], interval["high"], color=colour, linewidth=2)
        axes.plot(interval["mean"], place, MARKS[place % len(MARKS)], color=colour, markersize=6)
    axes.set_title(record["table"]["columns"][column], fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), list(rows.values()) if labelled else [""] * len(rows), fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.3)
    axes.margins(x=ROOM)
    if quantity["unit"] != "dB":
        with_zero(axes)


def with_zero(axes: Axes) -> None:
    """Let the x axis hold 0 beside the data, and some room."""
    low, high = axes.dataLim.intervalx
    low, high = min(low, 0.0), max(high, 0.0)
    room = ROOM * ((high - low) or 1.0)
    axes.set_xlim(low - room, high + room)


def _lines(record: Mapping[str, Any], curve: Mapping[str, Any]) -> dict[str, Sequence[tuple[float, Mapping[str, Any]]]]:
    """Points of every row of a curve that was measured: place on the x axis, interval."""
    found = {}
    for row in curve["rows"]:
        names = sorted((x, f"{row}/{point}") for point, x in curve["points"].items())
        points = [(x, record["metrics"][name]) for x, name in names if name in record["metrics"]]
        if points:
            found[row] = points
    return found


def _curve(axes: Axes, record: Mapping[str, Any], curve: Mapping[str, Any]) -> None:
    order = [row.removesuffix("/") for row in record["table"]["rows"]]
    for row, points in _lines(record, curve).items():
        place = order.index(row)
        colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
        xs = [x for x, _ in points]
        low, mean, high = ([interval[key] for _, interval in points] for key in ("low", "mean", "high"))
        axes.fill_between(xs, low, high, color=colour, alpha=0.2, linewidth=0)
        label = record["table"]["rows"][f"{row}/"]
        axes.plot(xs, mean, marker=mark, markersize=4, color=colour, linewidth=1.5, label=label)
    quantity = curve["quantity"]
    unit = f", {quantity['unit']}" if quantity["unit"] else ""
    axes.set_title(f"{curve['title']}{unit} {'↑' if quantity['higher_is_better'] else '↓'}", fontsize=9)
    axes.set_xlabel(curve["x_label"], fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    if quantity["unit"] != "dB":
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.legend(fontsize=7)
