import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.eval.metrics.bootstrap import bootstrap_mean

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
