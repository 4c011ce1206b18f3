"""From predictions to the benchmark's quantities, one clip at a time. Knows no model."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.eval.baselines.frames import average_pool, copy_first, warp_first
from gen3r.eval.benchmarks.truth import MIN_BASELINE, Truth
from gen3r.eval.metrics.depth import DepthErrors, depth_errors
from gen3r.eval.metrics.pose import PairErrors, median_deg, pair_errors, pose_auc, rotation_auc
from gen3r.eval.metrics.psnr import psnr

Scores = dict[str, float]
"""Quantity name -> number of one clip."""


def mean_psnr(video: Float[Tensor, "F 3 H W"], truth: Truth, frames: Sequence[int]) -> float:
    """Mean over ``frames`` of the PSNR of each, in dB. ValueError for a video that is not finite."""
    if not torch.isfinite(video).all():
        raise ValueError("the predicted video is not finite; the clip counts as failed.")
    chosen = list(frames)
    return psnr(video[chosen].to(truth.video), truth.video[chosen]).mean().item()


def depth_of(depth: Float[Tensor, "F H W"], truth: Truth) -> DepthErrors:
    """Depth errors over all frames with a single scale for the clip."""
    return depth_errors(depth.to(truth.depth), truth.depth, truth.valid)


def poses_of(extrinsics: Float[Tensor, "F 4 4"], truth: Truth) -> PairErrors:
    """Pose errors over all pairs of frames."""
    return pair_errors(extrinsics.to(truth.depth), truth.cameras.extrinsics, min_baseline=MIN_BASELINE)


def baseline_scores(truth: Truth, mean_map: Float[Tensor, "H W"]) -> Scores:
    """Every quantity that needs no model."""
    last = truth.frames - 1
    warped, _ = warp_first(truth.video, truth.depth, truth.cameras, last)
    still = poses_of(torch.eye(4).expand(truth.frames, 4, 4), truth)
    return {
        "avgpool8_psnr": mean_psnr(average_pool(truth.video), truth, range(truth.frames)),
        "meanmap_absrel": depth_of(mean_map.expand_as(truth.depth), truth).absrel,
        "identity_rot_auc5": rotation_auc(still, 5.0),
        "identity_rot_median_deg": median_deg(still.rotation),
        "copy_last_psnr": mean_psnr(copy_first(truth.video), truth, [last]),
        "warp_last_psnr": psnr(warped, truth.video[last]).item(),
    }


def reconstruction_scores(depth: Float[Tensor, "F H W"], extrinsics: Float[Tensor, "F 4 4"], truth: Truth) -> Scores:
    """VGGT on the true frames."""
    errors, pairs = depth_of(depth, truth), poses_of(extrinsics, truth)
    return {
        "vggt_absrel": errors.absrel,
        "vggt_delta1": errors.delta1,
        "vggt_rot_auc5": rotation_auc(pairs, 5.0),
        "vggt_rot_median_deg": median_deg(pairs.rotation),
    }


def round_trip_scores(depth: Float[Tensor, "F H W"], extrinsics: Float[Tensor, "F 4 4"], truth: Truth) -> Scores:
    """VGGT's tokens through the geometry latent."""
    return {
        "adapter_absrel": depth_of(depth, truth).absrel,
        "adapter_rot_median_deg": median_deg(poses_of(extrinsics, truth).rotation),
    }


def one_view_scores(
    video: Float[Tensor, "F 3 H W"], depth: Float[Tensor, "F H W"], extrinsics: Float[Tensor, "F 4 4"], truth: Truth
) -> Scores:
    """A clip generated from its first frame and the true cameras."""
    last = truth.frames - 1
    return {
        "gen1_last_psnr": mean_psnr(video, truth, [last]),
        "gen1_mean_psnr": mean_psnr(video, truth, range(1, truth.frames)),
        "gen1_between_psnr": mean_psnr(video, truth, range(1, last)),
        "gen1_absrel": depth_of(depth, truth).absrel,
        "camera_auc30": pose_auc(poses_of(extrinsics, truth), 30.0),
    }


def two_view_scores(video: Float[Tensor, "F 3 H W"], depth: Float[Tensor, "F H W"], truth: Truth) -> Scores:
    """A clip generated from its first and last frame and the true cameras."""
    return {
        "gen2_mean_psnr": mean_psnr(video, truth, range(1, truth.frames - 1)),
        "gen2_absrel": depth_of(depth, truth).absrel,
    }
