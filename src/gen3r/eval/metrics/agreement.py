"""Whether the frames, depth and cameras of one scene agree with each other: no truth is needed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.eval.metrics.psnr import CEILING_DB
from gen3r.eval.metrics.warp import land

WITHIN = 0.05
"""Relative difference of depth below which two frames agree on a surface."""
HIDDEN = 0.1
"""A point this much farther, by fraction, than the surface another frame sees there is taken to be hidden behind it."""
MIN_VISIBLE = 0.01
"""Pairs of frames that share less than this part of the picture are not scored."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Means over the pairs of frames of one clip that share some of the picture; the worst values if none does."""

    psnr: float
    """Visible pixels of a frame against the other frame warped onto it, in dB; at most ``CEILING_DB``, 0 the worst."""
    l1: float
    """Mean absolute difference of the same pixels, of values in [0, 1]; 1 is the worst."""
    depth_difference: float
    """Median over the visible pixels of |depth of the point in the other camera - depth there| / depth there; 1 is the
    worst."""
    within: float
    """Share of the visible pixels where that is below ``WITHIN``; 0 is the worst."""
    visible: float
    """Share of the pixels with a surface that the other frame sees too, over ALL pairs; 0 is the worst."""


WORST = Agreement(psnr=0.0, l1=1.0, depth_difference=1.0, within=0.0, visible=0.0)
"""What a scene scores whose frames share nothing, and a missing one."""


def agreement(
    video: Float[Tensor, "F 3 H W"],
    depth: Float[Tensor, "F H W"],
    cameras: Cameras,
    gaps: Sequence[int] | None = None,
) -> Agreement:
    """Warp frames onto each other by the scene's own depth and cameras, and compare what both see.

    For each pair of frames (i, j): every pixel of j with a surface is lifted by the depth of j and carried into camera
    i (backward warp), where the colour and the depth of i are looked up bilinearly, depth as its inverse, which is
    exact on planes. Pixels that leave the picture, that land where i knows no surface, or that lie more than
    ``HIDDEN`` behind the surface of i are not visible. What lies in front of the surface of i counts in full: i would
    have to see it. A depth that is too far for i makes points hidden, and the same pair the other way round finds them
    in front; therefore both directions are scored. The idea is that of the consistency checks of multi-view stereo
    (Schönberger et al. 2016) and of video depth.

    A video that stands still agrees with itself: read this together with the control of the camera.

    Args:
        video: RGB in [0, 1], as generated; clamped to that range.
        depth: z-depth in the unit of the cameras, 0 where there is no surface.
        cameras: [F], of the image size.
        gaps: distances i - j, both signs are taken; 1, 2, 4, 8, ... as far as the clip goes if left out.

    Raises:
        ValueError: for inputs that are not finite (the clip counts as failed), fewer than two frames, or gaps beyond
            the clip.
    """
    for name, values in (("video", video), ("depth", depth), ("cameras", cameras.extrinsics)):
        if not torch.isfinite(values).all():
            raise ValueError(f"the {name} of the scene must be finite; the clip counts as failed.")
    video, depth = video.double().clamp(0, 1), depth.double()
    cameras = cameras.to(dtype=torch.float64)
    scores, visible = [], []
    for i, j in frame_pairs(len(depth), gaps):
        pair, share = _compare(video, depth, cameras, i, j)
        visible.append(share)
        if share >= MIN_VISIBLE:
            scores.append(pair)
    if not scores:
        return WORST
    psnr, l1, difference, within = torch.stack(scores).mean(dim=0).tolist()
    return Agreement(psnr=psnr, l1=l1, depth_difference=difference, within=within, visible=sum(visible) / len(visible))


def frame_pairs(frames: int, gaps: Sequence[int] | None = None) -> list[tuple[int, int]]:
    """All (i, j) whose distance is one of the gaps, in both directions; gaps are powers of two if left out."""
    gaps = [2**power for power in range(frames.bit_length()) if 2**power < frames] if gaps is None else list(gaps)
    if not gaps or min(gaps) < 1 or max(gaps) >= frames:
        raise ValueError(f"gaps between the {frames} frames must be 1 to {frames - 1}, got {gaps}.")
    forward = [(i, i + gap) for gap in gaps for i in range(frames - gap)]
    return forward + [(j, i) for i, j in forward]


def _compare(
    video: Float[Tensor, "F 3 H W"], depth: Float[Tensor, "F H W"], cameras: Cameras, i: int, j: int
) -> tuple[Float[Tensor, "4"], float]:
    """(PSNR, L1, median difference, share within) of frame i warped onto j, and the visible share."""
    surface = depth[j] > 0
    landing = land(torch.where(surface, depth[j], 1.0), cameras[j], cameras[i])
    known = (depth[i] > 0).to(depth)
    inverse = torch.where(depth[i] > 0, 1 / depth[i].clamp_min(1e-12), 0.0)
    sampled = landing.sample(torch.cat([video[i], inverse[None], known[None]]))
    colours, inverse, known = sampled[:3], sampled[3], sampled[4]
    ratio = landing.z * inverse
    visible = surface & landing.inside & (known > 1 - 1e-6) & (ratio < 1 + HIDDEN)
    share = (visible.sum() / surface.sum().clamp_min(1)).item()
    if share < MIN_VISIBLE:
        return depth.new_zeros(4), share
    error = (colours - video[j])[:, visible]
    psnr = -10 * torch.log10(error.square().mean().clamp_min(10 ** (-CEILING_DB / 10)))
    difference = (ratio[visible] - 1).abs()
    within = (difference < WITHIN).double().mean()
    return torch.stack([psnr, error.abs().mean(), difference.median(), within]), share
