"""Augmentations that keep cameras and pixels in agreement."""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.train.rng import uniform
from gen3r.train.sources import Clips


def mirror(clips: Clips) -> Clips:
    """Swap left and right: the world is mirrored in x; poses conjugate with diag(-1,1,1,1), cx becomes W - cx."""
    sign = clips.extrinsics.new_tensor([-1.0, 1.0, 1.0, 1.0])
    intrinsics = clips.intrinsics.clone()
    intrinsics[..., 0, 2] = clips.rgb.shape[3] - intrinsics[..., 0, 2]
    return dataclasses.replace(
        clips,
        rgb=clips.rgb.flip(3),
        depth=None if clips.depth is None else clips.depth.flip(3),
        extrinsics=clips.extrinsics * sign[:, None] * sign[None, :],
        intrinsics=intrinsics,
    )


def select_frames(clips: Clips, frames: Tensor) -> Clips:
    """The same clips with only these frames, in this order (a reversed order is time reversal)."""
    return dataclasses.replace(
        clips,
        rgb=clips.rgb[:, frames],
        depth=None if clips.depth is None else clips.depth[:, frames],
        extrinsics=clips.extrinsics[:, frames],
        intrinsics=clips.intrinsics[:, frames],
    )


def video(clips: Clips) -> Float[Tensor, "n frames 3 height width"]:
    """Colours as float in [0,1], channels before pixels."""
    return clips.rgb.permute(0, 1, 4, 2, 3).float() / 255


def jitter_colours(
    images: Float[Tensor, "n frames 3 height width"], rng: torch.Generator, strength: float = 0.25
) -> Tensor:
    """Random gain per channel, contrast and gamma, one draw per clip; the result stays in [0,1]."""
    shape = (images.shape[0], 1, 1, 1, 1)

    def draw(*size: int) -> Tensor:
        return 1 + strength * (2 * torch.rand(size, generator=rng).to(images) - 1)

    contrast, gamma = draw(*shape), draw(*shape)
    gain = 1 + 0.5 * (draw(images.shape[0], 1, 3, 1, 1) - 1)
    return (((images - 0.5) * contrast + 0.5).clamp(1e-4, 1) ** gamma * gain).clamp(0, 1)


def flip_and_reverse(clips: Clips, rng: torch.Generator) -> Clips:
    """Mirror and time reversal, each with probability one half, one draw for the batch."""
    if uniform(rng) < 0.5:
        clips = mirror(clips)
    if uniform(rng) < 0.5:
        clips = select_frames(clips, torch.arange(clips.rgb.shape[1] - 1, -1, -1))
    return clips
