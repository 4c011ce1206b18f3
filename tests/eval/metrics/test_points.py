"""Distances of sampled point maps."""

import pytest
import torch

from gen3r.eval.metrics.chamfer import chamfer_distance
from gen3r.eval.metrics.points import cloud_errors


def maps(frames: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(frames, 20, 24, 3, generator=generator)
    mask = torch.rand(frames, 20, 24, generator=generator) > 0.2
    return reference, mask


def test_a_similarity_costs_nothing() -> None:
    reference, mask = maps()
    predicted = 3 * reference.flip(-1) * torch.tensor([1.0, 1.0, -1.0]) - 1
    predicted[~mask] = torch.nan
    errors = cloud_errors(predicted, reference, mask, points=150)
    assert errors.chamfer < 1e-5


def test_enough_points_are_all_points() -> None:
    reference, mask = maps()
    predicted = reference + 0.1 * torch.rand(reference.shape, generator=torch.Generator().manual_seed(1))
    assert cloud_errors(predicted, reference, mask) == chamfer_distance(predicted, reference, mask)


def test_missing_frames_cost_completeness() -> None:
    reference, mask = maps()
    reference[1] += torch.tensor([5.0, 0.0, 0.0])
    errors = cloud_errors(reference[:1], reference, mask, frames=[0], points=200)
    assert errors.accuracy < 0.1
    assert errors.completeness > 1.0


def test_density_does_not_weigh() -> None:
    """A plane whose left half has most of the pixels and whose right half alone is wrong."""
    x = torch.cat([torch.linspace(0, 1, 180), torch.linspace(1, 2, 20)])
    reference = torch.stack(torch.broadcast_tensors(x[None], torch.linspace(0, 1, 30)[:, None], torch.zeros(())), -1)
    wrong = reference + torch.where(reference[..., :1] > 1, 1.0, 0.0) * torch.tensor([0.0, 0.0, 0.3])
    mask = torch.ones(1, 30, 200, dtype=torch.bool)
    sampled = cloud_errors(wrong[None], reference[None], mask, points=400)
    assert sampled.accuracy > 1.5 * chamfer_distance(wrong[None], reference[None], mask).accuracy


def test_predictions_that_are_not_finite_are_failures() -> None:
    reference, mask = maps()
    mask[0, 0, 0] = True
    predicted = reference.clone()
    predicted[0, 0, 0, 1] = torch.inf
    with pytest.raises(ValueError, match="not finite"):
        cloud_errors(predicted, reference, mask)
