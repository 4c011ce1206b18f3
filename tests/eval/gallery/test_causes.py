import math

import pytest
import torch

from gen3r.eval.gallery.causes import CLEAR, FEWEST, clear_from, correlations, percentile, verdict
from gen3r.eval.gallery.criteria import CRITERIA
from gen3r.eval.gallery.properties import PROPERTIES

CLIPS = [str(number) for number in range(40)]


def properties(seed: int) -> dict[str, dict[str, float]]:
    drawn = torch.rand(len(CLIPS), len(PROPERTIES), generator=torch.Generator().manual_seed(seed))
    return {clip: dict(zip(PROPERTIES, row.tolist(), strict=True)) for clip, row in zip(CLIPS, drawn, strict=True)}


def test_the_property_that_makes_clips_bad_is_named() -> None:
    measured = properties(0)
    errors = {clip: own["turn"] ** 3 for clip, own in measured.items()}
    worst = max(errors, key=errors.__getitem__)
    going = correlations(measured, errors)
    found = verdict(worst, measured, going)
    assert going["turn"] == pytest.approx(1)
    assert found.name() == "large turn"
    assert found.cause is not None
    assert found.cause.percentile == 1
    assert "correlation +1.00" in found.text()


def test_low_ends_are_named_as_well() -> None:
    measured = properties(0)
    errors = {clip: -own["liveliness"] for clip, own in measured.items()}
    worst = max(errors, key=errors.__getitem__)
    assert verdict(worst, measured, correlations(measured, errors)).name() == "frozen camera"


def test_what_does_not_go_with_the_error_is_no_cause_however_unusual() -> None:
    measured = properties(0)
    nothing = dict.fromkeys(PROPERTIES, 0.0)
    measured["7"]["sky"] = 5.0
    found = verdict("7", measured, nothing)
    assert found.cause is None
    assert found.extreme.cause.name == "much sky"
    assert found.text().startswith("no single cause; most unusual: much sky (500 %")


def test_too_few_clips_or_no_difference_between_them_give_no_correlation() -> None:
    measured = properties(1)
    few = {clip: float(number) for number, clip in enumerate(CLIPS[: FEWEST - 1])}
    assert all(math.isnan(rho) for rho in correlations(measured, few).values())
    same = {clip: own | {"sky": 0.0, "scale": math.nan} for clip, own in measured.items()}
    going = correlations(same, {clip: own["turn"] for clip, own in measured.items()})
    assert math.isnan(going["sky"])
    assert math.isnan(going["scale"])
    assert going["turn"] == pytest.approx(1)
    assert verdict("3", same, going).extreme.cause.prop != "scale"


def test_with_few_clips_a_correlation_has_to_be_larger() -> None:
    assert clear_from(256) == CLEAR
    assert clear_from(64) == pytest.approx(0.25)
    measured = properties(0)
    going = dict.fromkeys(PROPERTIES, 0.0) | {"turn": 0.25}  # 40 clips: less than two standard errors
    most = max(CLIPS, key=lambda clip: measured[clip]["turn"])
    assert verdict(most, measured, going).cause is None
    assert verdict(most, measured, going | {"turn": 0.4}).name() == "large turn"


def test_percentiles_count_equal_ones_half() -> None:
    assert percentile(2.0, [1.0, 2.0, 3.0, 2.0]) == 0.5
    assert percentile(9.0, [1.0, 2.0]) == 1
    assert percentile(1.0, []) == 0.5


def test_the_worst_are_the_largest_errors_and_the_smallest_qualities() -> None:
    numbers = {"a": 0.1, "b": 0.9, "c": 0.5}
    worst = {criterion.key: criterion.worst(numbers, 2) for criterion in CRITERIA}
    assert worst == {"depth": ["b", "c"], "consistency": ["a", "c"], "psnr": ["a", "c"]}
