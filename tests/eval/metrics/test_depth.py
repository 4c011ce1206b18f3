import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.eval.metrics.depth import ABSREL_CEILING, depth_errors, median_scale

SHAPE = (3, 6, 7)


def truth(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    depth = torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed)) * 4 + 0.5
    valid = torch.ones(SHAPE, dtype=torch.bool)
    valid[:, 0] = False
    return torch.where(valid, depth, 0.0), valid


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(0, 2**31 - 1))
def test_truth_at_any_scale_is_perfect(scale: float, seed: int) -> None:
    depth, valid = truth(seed)
    errors = depth_errors(depth * scale, depth, valid)
    assert errors.absrel == pytest.approx(0.0, abs=1e-5)
    assert errors.delta1 == 1.0
    assert errors.scale == pytest.approx(1 / scale, rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 10.0), st.integers(0, 2**31 - 1))
def test_the_unit_of_a_prediction_does_not_matter(scale: float, seed: int) -> None:
    depth, valid = truth(seed)
    predicted = torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed ^ 1)) + 0.1
    one, other = depth_errors(predicted, depth, valid), depth_errors(predicted * scale, depth, valid)
    assert other.absrel == pytest.approx(one.absrel, rel=1e-4)
    assert other.delta1 == pytest.approx(one.delta1, abs=0.02)


def test_known_case() -> None:
    target = torch.ones(1, 1, 5)
    predicted = torch.tensor([[[1.0, 1.0, 1.0, 1.1, 2.0]]])
    errors = depth_errors(predicted, target, target > 0)
    assert errors.scale == 1.0
    assert errors.absrel == pytest.approx((0.1 + 1.0) / 5, rel=1e-5)
    assert errors.delta1 == pytest.approx(4 / 5)


def test_one_scale_serves_the_whole_clip() -> None:
    target = torch.ones(2, 4, 4)
    predicted = target.clone()
    predicted[1] *= 2
    assert depth_errors(predicted, target, target > 0).absrel > 0.2


def test_pixels_without_a_surface_do_not_count() -> None:
    depth, valid = truth()
    predicted = torch.where(valid, depth, 1e6)
    assert depth_errors(predicted, depth, valid).absrel == pytest.approx(0.0, abs=1e-6)


def test_no_depth_at_all_scores_the_worst() -> None:
    depth, valid = truth()
    errors = depth_errors(torch.zeros(SHAPE), depth, valid)
    assert (errors.absrel, errors.delta1) == (ABSREL_CEILING, 0.0)


def test_absrel_is_capped() -> None:
    target = torch.ones(1, 1, 3)
    errors = depth_errors(torch.tensor([[[1.0, 1.0, 1e9]]]), target, target > 0)
    assert errors.absrel == ABSREL_CEILING


def test_values_that_are_no_numbers_are_refused() -> None:
    depth, valid = truth()
    broken = depth.clone()
    broken[0, 3, 3] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        depth_errors(broken, depth, valid)
    with pytest.raises(ValueError, match="at least one valid pixel"):
        depth_errors(depth, depth, torch.zeros_like(valid))


def test_scale_needs_a_positive_prediction() -> None:
    depth, valid = truth()
    assert median_scale(-depth, depth, valid) != median_scale(-depth, depth, valid)


def test_rmse_of_a_known_case() -> None:
    target = torch.tensor([[[2.0, 4.0, 4.0, 8.0]]])
    predicted = torch.tensor([[[2.0, 4.0, 4.0, 10.0]]])
    assert depth_errors(predicted, target, target > 0).rmse == pytest.approx(1.0)
    assert depth_errors(3 * predicted, target, target > 0).rmse == pytest.approx(1.0)


def test_metric_errors_know_no_scale() -> None:
    depth, valid = truth()
    errors = depth_errors(1.1 * depth, depth, valid, metric=True)
    assert errors.scale == 1.0
    assert errors.absrel == pytest.approx(0.1, rel=1e-4)
    assert errors.rmse == pytest.approx(0.1 * depth[valid].square().mean().sqrt().item(), rel=1e-4)
    assert errors.delta1 == 1.0
    assert depth_errors(1.3 * depth, depth, valid, metric=True).delta1 == 0.0


@pytest.mark.parametrize("metric", [False, True])
def test_nothing_is_worse_than_no_depth(metric: bool) -> None:
    depth, valid = truth()
    worst = depth[valid].square().mean().sqrt().item()
    zeros = depth_errors(torch.zeros(SHAPE), depth, valid, metric=metric)
    spike = depth.clone()
    spike[0, 3, 3] = 1e9
    huge = depth_errors(spike, depth, valid, metric=metric)
    for errors in (zeros, huge):
        assert errors.rmse == pytest.approx(worst, rel=1e-5)
        assert errors.absrel == ABSREL_CEILING
