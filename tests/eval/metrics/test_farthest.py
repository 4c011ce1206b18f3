"""Farthest points against the greedy definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.eval.metrics.farthest import THINNING, farthest_points


def greedy(points: torch.Tensor, count: int) -> list[int]:
    """The definition, one point at a time."""
    points = points.double()
    chosen = [int((points - points.mean(dim=0)).square().sum(-1).argmax())]
    nearest = (points - points[chosen[0]]).square().sum(-1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(-1))
    return chosen


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(40, 300), st.floats(0.26, 0.9), st.floats(0.0, 1.0))
def test_the_sample_is_the_greedy_one(seed: int, size: int, share: float, flatness: float) -> None:
    points = torch.rand(size, 3, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1.0, 1.0, flatness])
    count = int(size * share)
    assert farthest_points(points, count).tolist() == greedy(points, count)


def test_many_batches_are_the_greedy_sample_too() -> None:
    points = torch.rand(2500, 3, generator=torch.Generator().manual_seed(0))
    assert farthest_points(points, 900).tolist() == greedy(points, 900)


def test_the_sample_covers_the_cloud_evenly() -> None:
    dense = torch.rand(600, 3, generator=torch.Generator().manual_seed(0)) * 0.1
    sparse = torch.rand(200, 3, generator=torch.Generator().manual_seed(1)) + torch.tensor([2.0, 0.0, 0.0])
    chosen = farthest_points(torch.cat([dense, sparse]), 100)
    assert (chosen >= 600).sum() > 80


def test_large_clouds_are_thinned_the_same_way_every_time() -> None:
    points = torch.rand(30 * THINNING, 3, generator=torch.Generator().manual_seed(0))
    chosen = farthest_points(points, 10)
    assert len(set(chosen.tolist())) == 10
    assert torch.equal(chosen, farthest_points(points, 10))


def test_small_clouds_and_copies() -> None:
    points = torch.rand(5, 3)
    assert farthest_points(points, 5).tolist() == [0, 1, 2, 3, 4]
    copies = torch.cat([points, points])
    assert sorted(index % 5 for index in farthest_points(copies, 8).tolist()) == [0, 1, 2, 3, 4]
    for count, cloud, message in ((0, points, "at least one"), (2, points * torch.nan, "finite")):
        with pytest.raises(ValueError, match=message):
            farthest_points(cloud, count)
