import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.eval.metrics.bootstrap import bootstrap_change, bootstrap_difference, bootstrap_mean

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None)
@given(VALUES)
def test_interval_holds_the_mean_and_stays_within_the_values(values: list[float]) -> None:
    interval = bootstrap_mean(values)
    assert interval.n == len(values)
    assert interval.mean == pytest.approx(sum(values) / len(values), abs=1e-6)
    assert min(values) - 1e-6 <= interval.low <= interval.mean <= interval.high <= max(values) + 1e-6


@settings(max_examples=15, deadline=None)
@given(VALUES)
def test_same_values_same_interval(values: list[float]) -> None:
    assert bootstrap_mean(values) == bootstrap_mean(values)


def test_equal_values_leave_no_doubt() -> None:
    interval = bootstrap_mean([3.0] * 7)
    assert (interval.low, interval.mean, interval.high, interval.n) == (3.0, 3.0, 3.0, 7)


def test_width_is_that_of_the_normal_law_for_many_values() -> None:
    values = torch.randn(2000, generator=torch.Generator().manual_seed(0)).tolist()
    interval = bootstrap_mean(values)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 2000**0.5, rel=0.1)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_failures_have_to_arrive_as_numbers(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_mean(values)


PAIRS = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=20)


@settings(max_examples=15, deadline=None)
@given(PAIRS)
def test_a_difference_is_the_mean_of_differences(pairs: list[tuple[float, float]]) -> None:
    one, other = [list(column) for column in zip(*pairs, strict=True)]
    interval = bootstrap_difference(one, other)
    assert interval == bootstrap_mean([a - b for a, b in pairs])
    swapped = bootstrap_difference(other, one)
    assert (swapped.low, swapped.high) == pytest.approx((-interval.high, -interval.low))


@settings(max_examples=15, deadline=None)
@given(PAIRS, st.floats(0.1, 5))
def test_a_change_is_relative(pairs: list[tuple[float, float]], factor: float) -> None:
    one, other = [list(column) for column in zip(*pairs, strict=True)]
    change = bootstrap_change(one, other)
    assert change.mean == pytest.approx(sum(one) / sum(other) - 1)
    assert change.low <= change.mean <= change.high
    assert change == bootstrap_change(one, other)
    exact = bootstrap_change([factor * value for value in other], other)
    assert (exact.low, exact.high) == pytest.approx((factor - 1, factor - 1))


def test_pairing_removes_what_the_clips_have_in_common() -> None:
    generator = torch.Generator().manual_seed(0)
    difficulty = 10 * torch.rand(60, generator=generator)
    other = (difficulty + 0.1 * torch.rand(60, generator=generator)).tolist()
    better = (difficulty + 1.0 + 0.1 * torch.rand(60, generator=generator)).tolist()
    paired = bootstrap_difference(better, other)
    assert 0.9 < paired.low < 1 < paired.high < 1.1
    assert bootstrap_mean(better).low < bootstrap_mean(other).high


def test_pairs_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 and 1 values"):
        bootstrap_difference([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        bootstrap_change([1.0], [float("nan")])
    with pytest.raises(ValueError, match="above 0"):
        bootstrap_change([1.0, 2.0], [0.0, 0.0])
