"""Predictions that no model makes: the truth with something simple in place of one part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from gen3r.cameras.cameras import Cameras
from gen3r.data.synthetic import generate_clips
from gen3r.eval.baselines.depth import mean_depth_map
from gen3r.eval.baselines.frames import average_pool, copy_first, warp_first
from gen3r.eval.benchmarks.truth import Truth, without_far
from gen3r.eval.suite.tables.chunk import Chunk
from gen3r.eval.suite.tables.prediction import Prediction

MEAN_MAP_CLIPS, MEAN_MAP_FRAMES, MEAN_MAP_SIDE = 64, 5, 56
"""Training clips whose mean depth is the depth of somebody who does not look, their frames, their longer side."""

MakeVideo = Callable[[Truth], Float[Tensor, "F 3 H W"]]


def truth(chunk: Chunk, place: int) -> Prediction:
    """The truth itself."""
    return Prediction.of_truth(chunk.truths[place])


def video_by(make: MakeVideo) -> Callable[[Chunk, int], Prediction]:
    """Predictions whose frames ``make`` makes of the truth."""

    def predict(chunk: Chunk, place: int) -> Prediction:
        return replace(truth(chunk, place), video=make(chunk.truths[place]))

    return predict


def still_camera(chunk: Chunk, place: int) -> Prediction:
    """A camera that never moves."""
    own = chunk.truths[place].cameras
    return replace(
        truth(chunk, place), cameras=replace(own, extrinsics=torch.eye(4).to(own.extrinsics).expand_as(own.extrinsics))
    )


def mean_depth(chunk: Chunk, place: int) -> Prediction:
    """The mean depth map of synthetic training clips in every frame, seen from the true cameras."""
    own = chunk.truths[place]
    depth = mean_depth_of(own.size).to(own.depth).expand_as(own.depth)
    return replace(truth(chunk, place), depth=depth, surface=torch.ones_like(own.valid))


def standstill(chunk: Chunk, place: int) -> Prediction:
    """The first frame at mean depth, seen from a camera that never moves."""
    flat = mean_depth(chunk, place)
    return replace(flat, video=copy_first(flat.video), cameras=still_camera(chunk, place).cameras)


copied = video_by(lambda own: copy_first(own.video))
"""The first frame, again and again."""
averaged = video_by(lambda own: average_pool(own.video))
"""Every 8 x 8 block replaced by its mean."""


def _fade(own: Truth) -> Float[Tensor, "F 3 H W"]:
    time = torch.linspace(0, 1, own.frames, device=own.video.device)[:, None, None, None]
    return own.video[:1].lerp(own.video[-1:], time)


faded = video_by(_fade)
"""The first frame, fading into the last."""


def _warp(own: Truth) -> tuple[Float[Tensor, "F 3 H W"], Bool[Tensor, "F H W"]]:
    frames, seen = zip(
        *(warp_first(own.video, own.depth, own.cameras, frame) for frame in range(own.frames)), strict=True
    )
    return torch.stack(frames), torch.stack(seen)


warped = video_by(lambda own: _warp(own)[0])
"""The first frame warped by true depth."""


def _warp_both(own: Truth) -> Float[Tensor, "F 3 H W"]:
    first, seen_first = _warp(own)
    cameras: Cameras = own.cameras[torch.arange(own.frames - 1, -1, -1)]
    backwards = replace(own, video=own.video.flip(0), depth=own.depth.flip(0), cameras=cameras)
    last, seen_last = (part.flip(0) for part in _warp(backwards))
    time = torch.linspace(0, 1, own.frames, device=own.video.device)[:, None, None, None]
    both = first.lerp(last, time)
    chosen = torch.where(seen_first[:, None], torch.where(seen_last[:, None], both, first), both)
    return torch.where((seen_last & ~seen_first)[:, None], last, chosen)


warped_both = video_by(_warp_both)
"""The first and the last frame warped by true depth, the nearer one counting more where both see a pixel."""


@lru_cache(maxsize=4)
def mean_depth_of(size: tuple[int, int]) -> Float[Tensor, "H W"]:
    """Mean depth map of synthetic training clips, resized from a small one; in units of a clip's mean depth."""
    shrink = MEAN_MAP_SIDE / max(size)
    height, width = (max(1, round(side * shrink)) for side in size)
    clips = generate_clips(range(MEAN_MAP_CLIPS), MEAN_MAP_FRAMES, height, width, device="cpu", samples=1)
    small = mean_depth_map(without_far(clip.depth) for clip in clips)
    return functional.interpolate(small[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
