import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.cameras.official import min_max_depth_mask
from gen3r.scene.cleaning import Cleaning, depth_edges
from gen3r.scene.point_cloud import (
    PointCloud,
    PointCloudConfig,
    at_most,
    point_cloud,
    surface_normals,
    voxel_thinned,
    without_outliers,
)
from gen3r.scene.scene import Scene
from scene.rooms import BALL, RADIUS, room_scene

EVERYTHING = PointCloudConfig(cleaning=Cleaning(), voxel_pixels=None, max_points=None)


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


def test_official_mask_takes_the_place_of_ours(scene):
    cloud = point_cloud(scene, dataclasses.replace(EVERYTHING, official_mask=True))
    kept = min_max_depth_mask(scene.depth)
    assert kept.sum() < scene.mask.sum()
    assert torch.equal(cloud.points, scene.world_points()[kept])


def test_only_kept_pixels_become_points(scene):
    keep = scene.mask & (scene.rgb[..., 2] > 128)
    assert torch.equal(point_cloud(scene, EVERYTHING, keep).points, scene.world_points()[keep])


def test_max_points_is_a_limit_that_is_nearly_reached(scene):
    assert 80 <= len(point_cloud(scene, dataclasses.replace(EVERYTHING, max_points=100))) <= 100


def test_empty_mask_gives_an_empty_cloud(scene):
    assert len(point_cloud(dataclasses.replace(scene, mask=torch.zeros_like(scene.mask)))) == 0


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


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 10_000))
def test_a_capped_cloud_is_small_even_and_confident(count, limit, seed):
    cloud = random_cloud(count, seed)
    capped = at_most(cloud, limit)
    assert 1 <= len(capped) <= limit
    assert {tuple(p) for p in capped.points.tolist()} <= {tuple(p) for p in cloud.points.tolist()}
    assert torch.equal(at_most(cloud, limit).points, capped.points)
    if count <= limit:
        assert len(capped) == count
    else:
        assert float(capped.confidence.max()) == float(cloud.confidence.max())


def test_a_cap_takes_as_many_points_where_they_are_dense_as_where_they_are_sparse():
    dense, sparse = random_cloud(9000, 0).points, random_cloud(4000, 1).points
    points = torch.cat([dense, sparse + torch.tensor([10.0, 0, 0])])
    cloud = dataclasses.replace(random_cloud(len(points), 2), points=points)
    capped = at_most(cloud, 200)
    assert 180 <= len(capped) <= 200
    assert 0.4 < float((capped.points[:, 0] > 5).float().mean()) < 0.6


def test_equal_points_cannot_be_told_apart():
    assert len(at_most(dataclasses.replace(random_cloud(50, 0), points=torch.ones(50, 3)), 10)) == 1


def test_statistical_outliers_are_dropped():
    cloud = random_cloud(500, 1, spread=0.1)
    points = cloud.points.clone()
    points[17] = 50.0
    kept = without_outliers(dataclasses.replace(cloud, points=points))
    assert float(kept.points.max()) < 1
    assert len(kept) > 450


@pytest.mark.parametrize("field", ["voxel_pixels", "max_points", "outlier_deviations"])
def test_config_refuses_non_positive(field):
    with pytest.raises(ValueError, match=field):
        PointCloudConfig(**{field: 0 if field == "max_points" else 0.0})
