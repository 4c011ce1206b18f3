"""Chamfer distances on clouds whose answer is known."""

import pytest
import torch

from gen3r.eval.metrics.chamfer import chamfer_distance, cloud_distances, voxel_downsample


def grid(count: int = 5) -> torch.Tensor:
    return torch.cartesian_prod(*[torch.arange(float(count))] * 3)


def test_a_shifted_grid_is_as_far_as_the_shift() -> None:
    points = grid()
    distances = cloud_distances(points + torch.tensor([0.0, 0.3, 0.0]), points)
    assert distances.accuracy == pytest.approx(0.3)
    assert distances.completeness == pytest.approx(0.3)
    assert distances.chamfer == pytest.approx(0.3)
    assert distances.relative_percent == pytest.approx(100 * 0.3 / 48**0.5)
    assert cloud_distances(points + torch.tensor([0.0, 0.3, 0.0]), points, squared=True).chamfer == pytest.approx(0.09)


def test_a_missing_half_costs_completeness_only() -> None:
    points = grid()
    distances = cloud_distances(points[points[:, 0] < 2], points)
    assert distances.accuracy == 0
    assert distances.completeness == pytest.approx((1 + 2 + 3) / 5)


def test_a_similarity_costs_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    reference = torch.randn(2, 6, 7, 3, generator=generator)
    mask = torch.rand(2, 6, 7, generator=generator) > 0.3
    predicted = 2.5 * reference.flip(-1) * torch.tensor([1.0, 1.0, -1.0]) + 4  # a rotation: swapped and negated axes
    predicted[~mask] = torch.nan
    assert chamfer_distance(predicted, reference, mask).relative_percent < 1e-4
    some = chamfer_distance(predicted[1:], reference, mask, frames=[1])
    assert some.accuracy < 1e-4 < some.completeness


def test_wrong_counts_are_refused() -> None:
    points, mask = torch.rand(2, 4, 4, 3), torch.zeros(2, 4, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match="at least 3 valid pixels, got 0"):
        chamfer_distance(points, points, mask)
    with pytest.raises(ValueError, match=r"1 maps and 2 frames.*frames="):
        chamfer_distance(points[:1], points, mask)


def test_voxels_hold_their_mean() -> None:
    points = torch.tensor([[0.1, 0.1, 0.1], [0.3, 0.1, 0.1], [-0.2, 0.1, 0.1], [1.2, 0.1, 0.1]])
    kept = voxel_downsample(points, 0.5)
    torch.testing.assert_close(kept[:, 0].sort().values, torch.tensor([-0.2, 0.2, 1.2]))
    with pytest.raises(ValueError, match="must be positive, got 0"):
        voxel_downsample(points, 0.0)
