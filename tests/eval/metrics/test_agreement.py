"""A true scene agrees with itself; breaking one of its parts is seen."""

import math
from dataclasses import replace

import pytest
import torch

from gen3r.cameras.cameras import Cameras
from gen3r.data.synthetic import generate_clip
from gen3r.eval.metrics.agreement import WORST, Agreement, agreement, frame_pairs

Parts = tuple[torch.Tensor, torch.Tensor, Cameras]


@pytest.fixture(scope="module")
def scene() -> Parts:
    clip = generate_clip(0, 5, 64, 80, samples=2)
    return clip.rgb.permute(0, 3, 1, 2).float() / 255, clip.depth, clip.cameras


@pytest.fixture(scope="module")
def truth(scene: Parts) -> Agreement:
    return agreement(*scene)


def test_a_true_scene_agrees(truth: Agreement) -> None:
    assert truth.psnr > 30
    assert truth.l1 < 0.02
    assert truth.depth_difference < 1e-4
    assert truth.within > 0.95
    assert 0.7 < truth.visible <= 1


def test_the_unit_of_a_scene_does_not_matter(scene: Parts, truth: Agreement) -> None:
    video, depth, cameras = scene
    scaled = agreement(video, depth * 8, cameras.scaled(8.0))
    assert scaled.psnr == pytest.approx(truth.psnr, abs=1e-2)
    assert scaled.within == pytest.approx(truth.within, abs=1e-3)


def test_a_camera_that_is_wrong_is_seen(scene: Parts, truth: Agreement) -> None:
    video, depth, cameras = scene
    turn = torch.eye(4)
    turn[0, 0] = turn[2, 2] = math.cos(0.1)
    turn[0, 2], turn[2, 0] = math.sin(0.1), -math.sin(0.1)
    extrinsics = cameras.extrinsics.clone()
    extrinsics[2] = turn @ extrinsics[2]
    wrong = agreement(video, depth, replace(cameras, extrinsics=extrinsics))
    assert wrong.psnr < truth.psnr - 3
    assert wrong.within < truth.within


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_depth_in_another_unit_than_the_cameras_is_seen(scene: Parts, truth: Agreement, factor: float) -> None:
    video, depth, cameras = scene
    wrong = agreement(video, depth * factor, cameras)
    assert wrong.psnr < truth.psnr - 1
    assert wrong.depth_difference > 100 * truth.depth_difference


def test_depth_that_drifts_is_seen(scene: Parts, truth: Agreement) -> None:
    video, depth, cameras = scene
    wrong = agreement(video, depth * torch.linspace(1, 1.3, 5)[:, None, None], cameras)
    assert wrong.within < truth.within - 0.3
    assert wrong.depth_difference > 0.02


def test_swapped_frames_are_seen_by_colour_alone(scene: Parts, truth: Agreement) -> None:
    video, depth, cameras = scene
    wrong = agreement(video[[0, 3, 2, 1, 4]], depth, cameras)
    assert wrong.psnr < truth.psnr - 3
    assert (wrong.depth_difference, wrong.visible) == (truth.depth_difference, truth.visible)


def test_two_views_of_a_plane_are_exact() -> None:
    """A fronto-parallel wall with a ramp of grey, from two places one pixel of disparity apart."""
    extrinsics = torch.eye(4).repeat(2, 1, 1)
    extrinsics[1, 0, 3] = -0.1
    cameras = Cameras.from_fov(extrinsics, math.radians(90), 20, 40)
    column = torch.arange(40.0) / 100
    video = torch.stack([column, column + 1 / 100])[:, None, None, :].expand(2, 3, 20, 40)
    found = agreement(video, torch.ones(2, 20, 40), cameras)
    assert found.l1 < 1e-6
    assert found.depth_difference < 1e-6
    assert found.visible == pytest.approx(39 / 40)


def test_nothing_in_common_is_the_worst(scene: Parts) -> None:
    video, depth, cameras = scene
    assert agreement(video, torch.zeros_like(depth), cameras) == WORST
    apart = cameras.extrinsics.clone()
    apart[:, 0, 3] += 1e4 * torch.arange(5)
    assert agreement(video, depth, replace(cameras, extrinsics=apart)) == WORST


def test_pairs_go_both_ways() -> None:
    pairs = frame_pairs(5)
    assert {abs(i - j) for i, j in pairs} == {1, 2, 4}
    assert set(pairs) == {(j, i) for i, j in pairs}
    assert frame_pairs(3, [2]) == [(0, 2), (2, 0)]
    for frames, gaps in ((1, None), (4, [4]), (4, [0]), (4, [])):
        with pytest.raises(ValueError, match="gaps between"):
            frame_pairs(frames, gaps)


def test_broken_scenes_are_failures(scene: Parts) -> None:
    video, depth, cameras = scene
    with pytest.raises(ValueError, match="the depth of the scene must be finite"):
        agreement(video, depth * torch.nan, cameras)
