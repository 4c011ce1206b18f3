from typing import Any

import pytest

from gen3r.eval.plots.table import picture

UP = {"meaning": "", "unit": "dB", "higher_is_better": True, "worst": 0.0}
DOWN = {"meaning": "", "unit": "s", "higher_is_better": False, "worst": None}


def interval(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": 0.9 * mean, "high": 1.2 * mean, "n": 4}


RECORD: dict[str, Any] = {
    "title": "A table",
    "clips": {"a": {}, "b": {}},
    "table": {
        "rows": {"one/": "one", "two/": "two"},
        "columns": {"psnr": "psnr, dB ↑", "time": "time, s ↓", "none": "x"},
    },
    "quantities": {"psnr": UP, "time": DOWN, "none": DOWN},
    "metrics": {
        "one/psnr": interval(20.0),
        "two/psnr": interval(30.0),
        "two/time": interval(5.0),
        "one/at2": interval(0.5),
        "one/at1": interval(0.25),
    },
    "curves": [
        {
            "title": "recall",
            "x_label": "deg",
            "quantity": UP,
            "points": {"at2": 2.0, "at1": 1.0},
            "rows": ["one", "two"],
        }
    ],
}


def test_every_interval_is_inside_its_axis_and_axes_hold_zero_where_it_means_something() -> None:
    psnr, time, curve = picture(RECORD).axes  # a column that nothing has gets no panel
    low, high = psnr.get_xlim()
    assert 0 < low < 18
    assert high > 36
    low, high = time.get_xlim()
    assert low < 0
    assert high > 6
    means = [line.get_xdata() for line in psnr.lines]
    assert [float(mean[0]) for mean in means] == [20.0, 30.0]
    assert [text.get_text() for text in psnr.get_yticklabels()] == ["one", "two"]
    (line,) = curve.lines  # the other row has no points
    assert list(line.get_xdata()) == [1.0, 2.0]
    assert list(line.get_ydata()) == pytest.approx([0.25, 0.5])
