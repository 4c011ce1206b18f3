import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.cameras.official import min_max_depth_mask
from gen3r.scene.point_cloud import (
    PointCloud,
    PointCloudConfig,
    depth_edges,
    point_cloud,
    surface_normals,
    voxel_thinned,
    without_outliers,
)
from gen3r.scene.scene import Scene
from scene.rooms import BALL, RADIUS, room_scene

EVERYTHING = PointCloudConfig(confidence_quantile=0.0, depth_edge=None, voxel_pixels=None, max_points=None)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return room_scene(frames=3, height=36, width=48)


def random_cloud(count, seed, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    return PointCloud(
        points=torch.randn(count, 3, generator=generator) * spread,
        colors=torch.randint(0, 256, (count, 3), generator=generator).byte(),
        confidence=torch.rand(count, generator=generator),
        normals=torch.zeros(count, 3),
    )


def test_everything_is_every_valid_pixel_with_its_colour(scene):
    cloud = point_cloud(scene, EVERYTHING)
    assert len(cloud) == int(scene.mask.sum())
    torch.testing.assert_close(cloud.points, scene.points[scene.mask], atol=1e-5, rtol=0)
    assert torch.equal(cloud.colors, scene.rgb[scene.mask])


def test_confidence_quantile_drops_the_least_confident(scene):
    confidence = torch.arange(scene.mask.numel(), dtype=torch.float32).view_as(scene.confidence)
    ranked = dataclasses.replace(scene, confidence=confidence)
    cloud = point_cloud(ranked, dataclasses.replace(EVERYTHING, confidence_quantile=0.25))
    valid = int(scene.mask.sum())
    assert abs(len(cloud) - 0.75 * valid) <= 1
    assert cloud.confidence.min() >= np.quantile(confidence[scene.mask].numpy(), 0.25, method="lower")


def test_equal_confidence_drops_nothing(scene):
    flat = dataclasses.replace(scene, confidence=torch.ones_like(scene.confidence))
    assert len(point_cloud(flat, dataclasses.replace(EVERYTHING, confidence_quantile=0.5))) == int(scene.mask.sum())


def test_official_mask_takes_the_place_of_ours(scene):
    cloud = point_cloud(scene, dataclasses.replace(EVERYTHING, official_mask=True))
    kept = min_max_depth_mask(scene.depth)
    assert kept.sum() < scene.mask.sum()
    assert torch.equal(cloud.points, scene.world_points()[kept])


def test_max_points_is_a_limit(scene):
    assert len(point_cloud(scene, dataclasses.replace(EVERYTHING, max_points=100))) == 100


def test_empty_mask_gives_an_empty_cloud(scene):
    assert len(point_cloud(dataclasses.replace(scene, mask=torch.zeros_like(scene.mask)))) == 0


@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_slanted_planes_have_no_edges(slant_x, slant_y):
    y, x = torch.meshgrid(torch.linspace(-1, 1, 20), torch.linspace(-1, 1, 30), indexing="ij")
    depth = 1 / (1 + slant_x * x + slant_y * y)
    assert not depth_edges(depth, torch.ones_like(depth, dtype=torch.bool), 0.01).any()


def test_steps_are_edges_on_both_sides():
    depth = torch.ones(6, 10)
    depth[:, 5:] = 2.0
    found = depth_edges(depth, torch.ones_like(depth, dtype=torch.bool), 0.06)
    assert found.any(0).nonzero()[:, 0].tolist() == [4, 5]


def test_default_filter_leaves_no_point_off_the_ball(scene):
    """Smear the depth as a network would: the filter must remove what floats behind the silhouette."""
    blurred = torch.nn.functional.avg_pool2d(scene.depth[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    smeared = dataclasses.replace(scene, depth=torch.where(scene.mask, blurred, scene.depth))
    config = dataclasses.replace(EVERYTHING, depth_edge=0.06)

    def floating(cloud):
        near_ball = (cloud.points - BALL).norm(dim=-1) - RADIUS
        behind = (cloud.points[:, 2] > BALL[2]) & (near_ball.abs() < 0.9) & (cloud.points[:, 1] < 1.0)
        return int((behind & (near_ball > 0.1)).sum())

    before, after = floating(point_cloud(smeared, EVERYTHING)), floating(point_cloud(smeared, config))
    assert before > 20
    assert after < before / 4


def test_normals_of_the_ball_point_outwards(scene):
    normals = surface_normals(scene.world_points(), scene.cameras.centers)
    outward = (scene.world_points() - BALL) / RADIUS
    facing = (outward * (scene.cameras.centers[:, None, None] - scene.points)).sum(-1) > 0.8
    on_ball = ((outward.norm(dim=-1) - 1).abs() < 1e-3) & facing & ~depth_edges(scene.depth, scene.mask, 0.06)
    assert on_ball.sum() > 50
    assert ((normals * outward).sum(-1)[on_ball] > 0.95).float().mean() > 0.97


@given(st.integers(1, 200), st.integers(0, 10_000), st.floats(0.05, 3.0))
def test_voxel_laws(count, seed, edge):
    cloud = random_cloud(count, seed)
    thin = voxel_thinned(cloud, edge)
    cells = [tuple(cell) for cell in np.floor(thin.points.double().numpy() / edge)]
    assert len(set(cells)) == len(cells)
    best = {}
    for cell, confidence in zip(np.floor(cloud.points.double().numpy() / edge), cloud.confidence, strict=True):
        best[tuple(cell)] = max(best.get(tuple(cell), 0.0), float(confidence))
    assert dict(zip(cells, thin.confidence.tolist(), strict=True)) == best
    assert torch.equal(voxel_thinned(thin, edge).points, thin.points)


def test_voxels_survive_points_extremely_far_away():
    cloud = random_cloud(50, 0)
    points = cloud.points.clone()
    points[0] = 1e12
    points[1] = -1e12
    assert len(voxel_thinned(dataclasses.replace(cloud, points=points), 1e-3)) == 50


def test_statistical_outliers_are_dropped():
    cloud = random_cloud(500, 1, spread=0.1)
    points = cloud.points.clone()
    points[17] = 50.0
    kept = without_outliers(dataclasses.replace(cloud, points=points))
    assert float(kept.points.max()) < 1
    assert len(kept) > 450


@pytest.mark.parametrize("field", ["depth_edge", "voxel_pixels", "max_points", "outlier_deviations"])
def test_config_refuses_non_positive(field):
    with pytest.raises(ValueError, match=field):
        PointCloudConfig(**{field: 0 if field == "max_points" else 0.0})


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_config_refuses_impossible_quantiles(value):
    with pytest.raises(ValueError, match="confidence_quantile"):
        PointCloudConfig(confidence_quantile=value)
