from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGTOutput
from gen3r.train.losses.adapter import (
    AdapterLossConfig,
    AdapterLosses,
    adapter_losses,
    adaptive_kl_weight,
    adaptive_weight,
    camera_loss,
    depth_loss,
    official_kl,
    points_loss,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def heads(seed: int) -> VGGTOutput:
    return VGGTOutput(
        pose_encodings=[normal(1, 2, 9, seed=seed + i) for i in range(4)],
        depth=normal(1, 2, 6, 6, seed=seed).exp(),
        depth_confidence=torch.ones(1, 2, 6, 6),
        points=normal(1, 2, 6, 6, 3, seed=seed),
        points_confidence=torch.ones(1, 2, 6, 6),
    )


def posterior(seed: int) -> Posterior:
    return Posterior(mean=normal(1, 4, 1, 3, 5, seed=seed), logvar=normal(1, 4, 1, 3, 5, seed=seed + 1))


def losses(rec: Tensor, target: Tensor, rec_heads: VGGTOutput, target_heads: VGGTOutput, **options) -> AdapterLosses:
    options = {"posterior": posterior(0), "reference": posterior(5)} | options
    return adapter_losses(
        reconstructed=rec, target=target, reconstructed_heads=rec_heads, target_heads=target_heads, **options
    )


def test_a_perfect_reconstruction_of_an_aligned_latent_costs_nothing() -> None:
    tokens = normal(1, 10, 2, 3, 3)
    terms = losses(tokens, tokens, heads(0), heads(0), reference=posterior(0))
    assert abs(float(terms.total)) < 1e-5


def test_the_total_is_the_sum_of_its_groups_and_a_given_weight_is_used() -> None:
    rec, target = normal(1, 10, 2, 3, 3), normal(1, 10, 2, 3, 3, seed=1)
    terms = losses(rec, target, heads(0), heads(9))
    torch.testing.assert_close(terms.total, terms.reconstruction + terms.similarity + terms.alignment)
    given = losses(rec, target, heads(0), heads(9), kl_weight=0.25)
    torch.testing.assert_close(given.alignment, 2.0 * 0.25 * given.kl)
    assert set(terms.scalars()) >= {"total", "kl", "camera"}


def test_gradients_are_finite_with_broken_pixels_and_none_comes_from_the_weight() -> None:
    rec = normal(1, 10, 2, 3, 3).requires_grad_()
    depth = normal(1, 2, 6, 6).exp()
    points = normal(1, 2, 6, 6, 3)
    depth[0, 0, 0, 0], points[0, 0, 1, 1, 0], points[0, 1, 2, 2, 1] = torch.inf, torch.nan, -torch.inf
    depth.requires_grad_()
    points.requires_grad_()
    broken = replace(heads(0), depth=depth, points=points)
    terms = losses(rec, normal(1, 10, 2, 3, 3, seed=1), broken, heads(9))
    assert not terms.kl_weight.requires_grad
    terms.total.backward()
    for tensor in (rec, depth, points):
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().sum() > 0


def test_aligning_needs_a_reference() -> None:
    tokens = normal(1, 10, 2, 3, 3)
    with pytest.raises(ValueError, match="reference"):
        losses(tokens, tokens, heads(0), heads(0), reference=None)
    alone = losses(tokens, tokens, heads(0), heads(0), reference=None, config=AdapterLossConfig(align=0.0))
    torch.testing.assert_close(alone.kl, official_kl(posterior(0)))


def test_large_errors_are_clamped_and_broken_ones_count_as_zero() -> None:
    target = torch.zeros(1, 1, 1, 4)
    depth = torch.tensor([[[[1.0, 500.0, torch.nan, torch.inf]]]])
    assert float(depth_loss(depth, target)) == pytest.approx(101 / 4)
    points = torch.tensor([[3.0, 4.0, 0.0], [torch.nan, 0.0, 0.0]]).reshape(1, 1, 1, 2, 3)
    assert float(points_loss(points, torch.zeros_like(points))) == pytest.approx(2.5)


def test_later_iterations_count_more() -> None:
    target = [torch.zeros(1, 1, 9)] * 4
    costs = []
    for k in range(4):
        poses = [torch.zeros(1, 1, 9) for _ in range(4)]
        poses[k] += 1
        costs.append(float(camera_loss(poses, target)))
    for earlier, later in pairwise(costs):
        assert earlier == pytest.approx(0.6 * later)
    assert costs[-1] == pytest.approx(2.5 / 4)


def test_the_kl_is_the_full_sum_over_the_width() -> None:
    a, b = posterior(0), posterior(5)
    torch.testing.assert_close(official_kl(a, b), a.kl(b).sum() / 5)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e6))
def test_the_adaptive_weight_brings_the_loss_below_its_target_by_powers_of_ten(target: float, current: float) -> None:
    weight = adaptive_weight(target, current)
    assert weight <= 1
    assert weight * current <= max(target, current if current <= target else 0) * (1 + 1e-6)
    if current > target:
        assert weight * current * 10 > target * (1 - 1e-6)


def test_the_adaptive_weight_of_the_step_is_a_tenth_of_the_rule_when_aligning() -> None:
    assert adaptive_weight(1.0, 0.0) == 1.0
    assert adaptive_weight(-1.0, 0.0) == 0.01
    assert adaptive_kl_weight(1.0, 50.0) == pytest.approx(0.001)
    assert adaptive_kl_weight(1.0, 50.0, AdapterLossConfig(align=0.0)) == pytest.approx(0.01)
