import pytest
import torch

from eval.benchmarks.rooms import room_clip
from gen3r.eval.baselines.depth import mean_depth_map
from gen3r.eval.benchmarks.scores import (
    Scores,
    baseline_scores,
    one_view_scores,
    reconstruction_scores,
    round_trip_scores,
    two_view_scores,
)
from gen3r.eval.benchmarks.truth import FAR, Truth
from gen3r.eval.metrics.psnr import CEILING_DB

PERFECT = {"psnr": CEILING_DB, "absrel": 0.0, "delta1": 1.0, "auc5": 1.0, "auc30": 1.0, "deg": 0.0}


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth.of(room_clip(0, side=32))


def all_scores(video: torch.Tensor, depth: torch.Tensor, extrinsics: torch.Tensor, truth: Truth) -> Scores:
    return {
        **reconstruction_scores(depth, extrinsics, truth),
        **round_trip_scores(depth, extrinsics, truth),
        **one_view_scores(video, depth, extrinsics, truth),
        **two_view_scores(video, depth, truth),
    }


def test_the_truth_itself_scores_perfectly(truth: Truth) -> None:
    extrinsics = truth.cameras.extrinsics.clone()
    extrinsics[:, :3, 3] *= 7
    scores = all_scores(truth.video, truth.depth * 3, extrinsics, truth)
    assert len(scores) == 13
    for name, score in scores.items():
        assert score == pytest.approx(PERFECT[name.rsplit("_", 1)[-1]], abs=2e-3), name


def test_anything_else_scores_worse(truth: Truth) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(truth.video.shape, generator=generator)
    depth = torch.rand(truth.depth.shape, generator=generator) + 0.5
    for name, score in all_scores(noise, depth, torch.eye(4).expand(truth.frames, 4, 4), truth).items():
        best = PERFECT[name.rsplit("_", 1)[-1]]
        assert abs(score - best) > 0.05, name


def test_frames_that_were_given_do_not_count(truth: Truth) -> None:
    video = truth.video.clone()
    video[0], video[-1] = 0.0, 0.0
    extrinsics = truth.cameras.extrinsics
    assert one_view_scores(video, truth.depth, extrinsics, truth)["gen1_between_psnr"] == CEILING_DB
    assert one_view_scores(video, truth.depth, extrinsics, truth)["gen1_last_psnr"] < 20
    assert two_view_scores(video, truth.depth, truth)["gen2_mean_psnr"] == CEILING_DB


def test_truth_is_relative_to_the_first_view_in_its_mean_depth() -> None:
    one, other = Truth.of(room_clip(0, side=32)), Truth.of(room_clip(0, side=32, unit=250.0))
    torch.testing.assert_close(one.depth, other.depth)
    torch.testing.assert_close(one.cameras.extrinsics, other.cameras.extrinsics)
    assert one.depth[0][one.depth[0] > 0].mean().item() == pytest.approx(1.0, abs=1e-5)
    assert torch.equal(one.cameras.extrinsics[0], torch.eye(4))


def test_sky_and_what_is_as_far_is_not_judged() -> None:
    clip = room_clip(0, side=32)
    clip.depth[2, 5, 5] = clip.depth[0].mean() * FAR * 2
    truth = Truth.of(clip)
    assert not truth.valid[2, 5, 5]
    assert not truth.valid[truth.depth == 0].any()
    assert truth.valid.float().mean() > 0.8


def test_a_clip_of_pure_sky_is_refused() -> None:
    clip = room_clip(3, side=32)
    clip.depth.zero_()
    with pytest.raises(ValueError, match="seed 3 sees no surface"):
        Truth.of(clip)


def test_baselines_stand_where_they_should(truth: Truth) -> None:
    own_map = mean_depth_map([truth.depth])
    scores = baseline_scores(truth, own_map)
    flat = baseline_scores(truth, torch.ones_like(own_map))
    assert scores["meanmap_absrel"] < flat["meanmap_absrel"]
    assert scores["warp_last_psnr"] > scores["copy_last_psnr"]
    assert 0 < scores["identity_rot_median_deg"] < 20
    assert 15 < scores["avgpool8_psnr"] < 50
