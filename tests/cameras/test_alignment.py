"""Similarity transforms and their recovery from matched points."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cameras.strategies import cameras, points_in_front, rotations, seeds, vectors
from gen3r.cameras import Cameras, Sim3, mean_depth, project, trajectory_scale, umeyama
from gen3r.cameras.alignment import least_squares_scale, spread_ratio_scale, unit_scale

TOLERANCE = {"atol": 1e-8, "rtol": 1e-8}


@st.composite
def similarities(draw: st.DrawFn) -> Sim3:
    scale = torch.tensor(draw(st.floats(0.05, 20.0)), dtype=torch.float64)
    return Sim3(scale, draw(rotations()), draw(vectors()))


def cloud(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(similarities(), seeds)
def test_inverse_and_identity(transform: Sim3, seed: int) -> None:
    points = cloud(seed, 5)
    torch.testing.assert_close(transform.inverse().apply(transform.apply(points)), points, **TOLERANCE)
    torch.testing.assert_close(Sim3.identity(dtype=torch.float64).apply(points), points)
    torch.testing.assert_close(transform.apply(points[0]), transform.apply(points)[0])


@given(similarities(), similarities(), similarities(), seeds)
def test_composition_is_application_in_turn_and_associative(a: Sim3, b: Sim3, c: Sim3, seed: int) -> None:
    points = cloud(seed, 2, 3)
    torch.testing.assert_close(a.compose(b).apply(points), a.apply(b.apply(points)), **TOLERANCE)
    left, right = a.compose(b).compose(c), a.compose(b.compose(c))
    torch.testing.assert_close(left.apply(points), right.apply(points), **TOLERANCE)


@pytest.mark.parametrize("rule", [least_squares_scale, spread_ratio_scale])
@given(transform=similarities(), seed=seeds)
def test_recovery(rule: Callable[[Tensor, Tensor, Tensor], Tensor], transform: Sim3, seed: int) -> None:
    points = cloud(seed, 12)
    found = umeyama(points, transform.apply(points), scale_rule=rule)
    torch.testing.assert_close(found.scale, transform.scale, **TOLERANCE)
    torch.testing.assert_close(found.rotation, transform.rotation, **TOLERANCE)
    torch.testing.assert_close(found.translation, transform.translation, **TOLERANCE)


@given(similarities(), seeds)
def test_masked_pairs_do_not_count(transform: Sim3, seed: int) -> None:
    points = cloud(seed, 12)
    target = transform.apply(points)
    target[8:] = torch.nan
    found = umeyama(points, target, mask=torch.arange(12) < 8)
    torch.testing.assert_close(found.apply(points[:8]), target[:8], **TOLERANCE)


def test_entries_of_a_batch_do_not_mix() -> None:
    source, target = cloud(1, 2, 9), cloud(2, 2, 9)
    mask = torch.tensor([[True] * 9, [True] * 2 + [False] * 7])
    together = umeyama(source, target, mask)
    alone = umeyama(source[0], target[0])
    torch.testing.assert_close(together.apply(source)[0], alone.apply(source[0]))
    assert torch.equal(together.apply(source)[1], source[1]), "two pairs fix nothing: identity"


def test_noise_shrinks_only_the_least_squares_scale() -> None:
    source, target = cloud(3, 4000), cloud(3, 4000) + 0.5 * cloud(4, 4000)
    least_squares, ratio = (
        umeyama(target, source, scale_rule=rule) for rule in (least_squares_scale, spread_ratio_scale)
    )
    assert least_squares.scale < 0.85 < ratio.scale < 0.92
    squares = [((found.apply(target) - source) ** 2).sum() for found in (least_squares, ratio)]
    assert squares[0] < squares[1]
    assert umeyama(target, source, scale_rule=unit_scale).scale == 1


def test_mirrored_points_give_a_rotation_not_a_reflection() -> None:
    points = cloud(5, 20)
    found = umeyama(points, points * torch.tensor([1.0, 1.0, -1.0]))
    torch.testing.assert_close(torch.linalg.det(found.rotation), torch.tensor(1.0, dtype=torch.float64))


def test_one_point_repeated_keeps_its_scale() -> None:
    found = umeyama(torch.ones(5, 3), torch.zeros(5, 3))
    assert found.scale == 1
    torch.testing.assert_close(found.apply(torch.ones(5, 3)), torch.zeros(5, 3))


@given(similarities(), cameras(3), seeds)
def test_cameras_moved_with_the_world_see_the_same(transform: Sim3, of: Cameras, seed: int) -> None:
    points = points_in_front(of, seed)
    pixels, depth = project(points, of)
    moved_pixels, moved_depth = project(transform.apply(points), transform.apply_to_cameras(of))
    torch.testing.assert_close(moved_pixels, pixels, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(moved_depth, depth * transform.scale, atol=1e-6, rtol=1e-6)


def test_scales_of_a_scene_leave_out_pixels_without_surface() -> None:
    depth = torch.tensor([[[0.0, 2.0], [4.0, torch.inf]], [[0.0, 0.0], [0.0, torch.nan]]])
    torch.testing.assert_close(mean_depth(depth), torch.tensor([3.0, 1.0]))
    assert trajectory_scale(depth) == pytest.approx(1.6)
    assert trajectory_scale(depth[1]) == 1.0
