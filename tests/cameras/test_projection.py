"""Depth maps, world points, pixels and rays belong together."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cameras.strategies import cameras, seeds
from gen3r.cameras import Cameras, camera_rays, plucker_rays, project, unproject


def random_depth(of: Cameras, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*of.shape, of.height, of.width, generator=generator, dtype=torch.float64) * 9 + 0.2


def pixel_places(of: Cameras, offset: float) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(of.height), torch.arange(of.width), indexing="ij")
    return (torch.stack([columns, rows], dim=-1) + offset).flatten(0, 1).double().expand(*of.shape, -1, 2)


@given(cameras(), seeds, st.sampled_from([0.0, 0.5]))
def test_project_undoes_unproject(of: Cameras, seed: int, offset: float) -> None:
    depth = random_depth(of, seed)
    pixels, found_depth = project(unproject(depth, of, pixel_offset=offset).flatten(-3, -2), of)
    torch.testing.assert_close(pixels, pixel_places(of, offset), atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(found_depth, depth.flatten(-2))


@given(cameras(4), seeds)
def test_batch_axes_do_not_mix(of: Cameras, seed: int) -> None:
    depth = random_depth(of, seed)
    folded = Cameras(of.extrinsics.unflatten(0, (2, 2)), of.intrinsics.unflatten(0, (2, 2)), of.height, of.width)
    together = unproject(depth.unflatten(0, (2, 2)), folded)
    one_by_one = torch.stack([unproject(d, of[i]) for i, d in enumerate(depth)])
    torch.testing.assert_close(together.flatten(0, 1), one_by_one)
    torch.testing.assert_close(plucker_rays(folded).flatten(0, 1), plucker_rays(of))


@given(cameras(), seeds)
def test_unprojected_points_lie_on_the_rays(of: Cameras, seed: int) -> None:
    points = unproject(random_depth(of, seed), of)
    origins, directions = camera_rays(of)
    along = ((points - origins) * directions).sum(-1, keepdim=True)
    assert bool((along > 0).all())
    torch.testing.assert_close(origins + along * directions, points)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones_like(along[..., 0]))
    torch.testing.assert_close(origins[..., 0, 0, :], of.centers)


@given(cameras(), st.floats(-5.0, 5.0))
def test_pluecker_moments_do_not_depend_on_the_point_of_the_ray(of: Cameras, along: float) -> None:
    moment, direction = plucker_rays(of).movedim(-3, -1).split(3, dim=-1)
    origins, _ = camera_rays(of)
    torch.testing.assert_close((moment * direction).sum(-1), torch.zeros_like(moment[..., 0]), atol=1e-9, rtol=0)
    elsewhere = origins + along * direction
    torch.testing.assert_close(torch.linalg.cross(elsewhere, direction, dim=-1), moment, atol=1e-9, rtol=1e-9)


def test_depth_of_another_size_is_refused() -> None:
    camera = Cameras.from_fov(torch.eye(4), 1.0, 4, 6)
    with pytest.raises(ValueError, match="4x6, got 5x6"):
        unproject(torch.ones(5, 6), camera)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_same_on_cuda() -> None:
    camera = Cameras.from_fov(torch.eye(4).repeat(2, 1, 1), 1.0, 4, 6)
    depth = torch.arange(48.0).view(2, 4, 6) + 1
    torch.testing.assert_close(unproject(depth.cuda(), camera.to("cuda")).cpu(), unproject(depth, camera))
    torch.testing.assert_close(plucker_rays(camera.to("cuda")).cpu(), plucker_rays(camera))
