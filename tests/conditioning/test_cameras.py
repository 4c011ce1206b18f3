"""Rays as the transformer reads them."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.cameras import Cameras
from gen3r.cameras.rays import plucker_rays
from gen3r.conditioning.cameras import camera_rays_packed, free_cameras, relative_cameras, scene_scale
from gen3r.latents.grid import LatentGrid
from gen3r.latents.joint import split

SIZE = (32, 48)


def orbit(batch: int = 2, frames: int = 5, seed: int = 0) -> Cameras:
    """Cameras [B, F] with random rotations and positions."""
    generator = torch.Generator().manual_seed(seed)
    rotation, _ = torch.linalg.qr(torch.randn(batch, frames, 3, 3, generator=generator))
    rotation = rotation * torch.linalg.det(rotation)[..., None, None]
    poses = torch.eye(4).repeat(batch, frames, 1, 1)
    poses[..., :3, :3] = rotation
    poses[..., :3, 3] = torch.randn(batch, frames, 3, generator=generator)
    return Cameras.from_fov(poses, 1.0, *SIZE)


def test_packed_channels_are_coordinate_times_slot() -> None:
    cameras = relative_cameras(orbit())
    rays, packed = plucker_rays(cameras), camera_rays_packed(cameras, SIZE)
    assert packed.shape == (2, 24, 2, 32, 96)
    left, right = split(packed)
    assert torch.equal(left, right)
    for frame in range(5):
        latent, slot = (frame + 3) // 4, (frame + 3) % 4
        assert torch.equal(left[:, slot::4, latent], rays[:, frame])


@given(scale=st.floats(0.1, 50.0), seed=st.integers(0, 5))
def test_unit_of_the_scene_does_not_matter(scale: float, seed: int) -> None:
    cameras, ones = orbit(seed=seed), torch.ones(2)
    expected = camera_rays_packed(relative_cameras(cameras, ones), SIZE)
    scaled = relative_cameras(cameras.scaled(scale), ones * scale)
    torch.testing.assert_close(camera_rays_packed(scaled, SIZE), expected, atol=1e-4, rtol=1e-4)


def test_world_frame_does_not_matter() -> None:
    cameras = orbit()
    moved = Cameras(cameras.extrinsics @ orbit(1, 1, seed=9).extrinsics, cameras.intrinsics, *SIZE)
    expected = camera_rays_packed(relative_cameras(cameras), SIZE)
    torch.testing.assert_close(camera_rays_packed(relative_cameras(moved), SIZE), expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(relative_cameras(moved).extrinsics[:, 0], torch.eye(4).expand(2, 4, 4))


def test_switched_off_scale_keeps_the_numbers() -> None:
    cameras = orbit()
    assert torch.equal(relative_cameras(cameras).extrinsics, cameras.rebased().extrinsics)


def test_unknown_cameras_are_zero_and_alone() -> None:
    cameras = relative_cameras(orbit())
    known = torch.tensor([[True, False, True, True, True], [True] * 5])
    full, part = camera_rays_packed(cameras, SIZE), camera_rays_packed(cameras, SIZE, known)
    assert torch.equal(part[1], full[1])
    assert not part[0, 0::4, 1].any()
    assert torch.equal(part[0, 1::4, 1], full[0, 1::4, 1])


def test_rays_at_latent_size_are_nearly_the_pooled_ones() -> None:
    cameras = relative_cameras(orbit())
    pooled = torch.nn.functional.avg_pool3d(camera_rays_packed(cameras, SIZE), (1, 8, 8))
    torch.testing.assert_close(camera_rays_packed(cameras, (4, 6)), pooled, atol=0.02, rtol=0.0)


def test_free_cameras_have_the_packed_shape() -> None:
    grid = LatentGrid(5, 32, 48, patch=16)
    expected = camera_rays_packed(relative_cameras(orbit()), grid.size)
    free = free_cameras(grid, grid.size, torch.zeros(2, 1))
    assert free.shape == expected.shape
    assert not free.any()


def test_scene_scale_is_the_mean_seen_depth() -> None:
    depth = torch.tensor([[[2.0, 4.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert scene_scale(depth).tolist() == [3.0, 1.0]
