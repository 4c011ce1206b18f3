import pytest
import torch

from gen3r.cameras.cameras import Cameras
from gen3r.eval.baselines.depth import mean_depth_map
from gen3r.eval.baselines.frames import average_pool, copy_first, warp_first
from gen3r.eval.metrics.psnr import psnr

SIZE = 32
FOCAL = 32.0
WALL = 4.0
SHIFT_PIXELS = 3


def wall(frames: int = 2) -> tuple[torch.Tensor, torch.Tensor, Cameras]:
    """A textured wall at a constant depth, seen by a camera that moves to the right by whole pixels."""
    generator = torch.Generator().manual_seed(0)
    texture = torch.rand(3, SIZE, SIZE + SHIFT_PIXELS * frames, generator=generator)
    video = torch.stack([texture[:, :, SHIFT_PIXELS * f : SHIFT_PIXELS * f + SIZE] for f in range(frames)])
    extrinsics = torch.eye(4).repeat(frames, 1, 1)
    extrinsics[:, 0, 3] = -torch.arange(frames) * SHIFT_PIXELS * WALL / FOCAL
    intrinsics = torch.tensor([[FOCAL, 0, SIZE / 2], [0, FOCAL, SIZE / 2], [0, 0, 1]]).repeat(frames, 1, 1)
    return video, torch.full((frames, SIZE, SIZE), WALL), Cameras(extrinsics, intrinsics, SIZE, SIZE)


def test_copying_repeats_the_first_frame() -> None:
    video = torch.rand(4, 3, 8, 8)
    copied = copy_first(video)
    assert copied.shape == video.shape
    assert all(torch.equal(frame, video[0]) for frame in copied)


def test_pooling_keeps_the_mean_of_every_block_and_is_idempotent() -> None:
    video = torch.rand(2, 3, 16, 24)
    pooled = average_pool(video)
    assert pooled.shape == video.shape
    torch.testing.assert_close(pooled[0, 0, :8, :8], video[0, 0, :8, :8].mean().expand(8, 8))
    torch.testing.assert_close(average_pool(pooled), pooled)


def test_warp_by_true_depth_is_exact_where_the_first_frame_saw_it() -> None:
    video, depth, cameras = wall()
    warped, seen = warp_first(video, depth, cameras, 1)
    assert seen[:, : SIZE - SHIFT_PIXELS].all()
    assert not seen[:, SIZE - SHIFT_PIXELS :].any()
    torch.testing.assert_close(warped[:, seen], video[1][:, seen], atol=1e-4, rtol=0)
    torch.testing.assert_close(warped[:, ~seen], video[0][:, ~seen])


def test_warp_beats_copying() -> None:
    video, depth, cameras = wall()
    assert psnr(warp_first(video, depth, cameras, 1)[0], video[1]) > psnr(video[0], video[1]) + 3


def test_warp_to_the_first_camera_changes_nothing() -> None:
    video, depth, cameras = wall()
    warped, seen = warp_first(video, depth, cameras, 0)
    assert seen.all()
    torch.testing.assert_close(warped, video[0], atol=1e-5, rtol=0)


def test_what_the_first_frame_hides_is_not_seen() -> None:
    video, depth, cameras = wall()
    depth[0, :, : SIZE // 2] = 1.0
    _, seen = warp_first(video, depth, cameras, 1)
    assert not seen[:, : SIZE // 2 - SHIFT_PIXELS].any()


def test_sky_turns_with_the_camera_and_does_not_shift() -> None:
    video, depth, cameras = wall()
    warped, seen = warp_first(video, torch.zeros_like(depth), cameras, 1)
    assert seen.all()
    torch.testing.assert_close(warped, video[0], atol=5e-3, rtol=0)


def test_mean_depth_map_knows_no_scale_and_no_sky() -> None:
    depth = torch.full((2, 4, 4), 3.0)
    depth[:, 0] = 0.0
    tilted = depth * torch.linspace(0.5, 1.5, 4)[:, None]
    one = mean_depth_map([depth, tilted])
    other = mean_depth_map([depth * 7, tilted * 0.1])
    torch.testing.assert_close(one, other)
    assert one[0].tolist() == [1.0] * 4
    assert one[3].mean() > one[1].mean()


def test_mean_depth_map_needs_a_surface() -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        mean_depth_map([torch.zeros(1, 4, 4)])
