"""What reconstructed geometry tokens lack, a few frames at a time: VGGT's heads at full size are what memory goes to.

The dense heads see every frame alone, and so do the errors of tokens; the camera head reads one token of each frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gen3r.latents.tokens import split_volume, unpack_tokens
from gen3r.models.vggt import VGGT
from gen3r.train.losses.adapter import (
    AdapterLossConfig,
    ReconstructionErrors,
    camera_loss,
    cosine_loss,
    depth_loss,
    points_loss,
)

# B batch, F frames, n frames of a part, D token width, gh gw token grid, H W image

FRAMES_AT_ONCE = 4
"""Frames of a micro-batch in a part; at 560x560 the two dense heads keep about 2 GB of each for their backward pass."""


class Maps(NamedTuple):
    """What the dense heads say of some frames."""

    depth: Float[Tensor, "B n H W"]
    points: Float[Tensor, "B n H W 3"]


class Part(NamedTuple):
    """Of the frames of a part: their share of the errors of all frames, and their camera tokens."""

    image_tokens: Float[Tensor, ""]
    similarity: Float[Tensor, ""]
    depth: Float[Tensor, ""]
    points: Float[Tensor, ""]
    cameras: Float[Tensor, "B D n"]


def reconstruction_errors(
    vggt: VGGT,
    reconstructed: Float[Tensor, "B D5 F gh gw"],
    target: Float[Tensor, "B D5 F gh gw"],
    *,
    frames: Sequence[int],
    size: tuple[int, int],
    config: AdapterLossConfig,
    recompute: bool,
) -> ReconstructionErrors:
    """The errors of whole volumes, to rounding.

    Args:
        vggt: its heads read the tokens; frozen.
        reconstructed: what the adapter made; gradients flow to it.
        target: what it was given; no gradient.
        frames: those whose cameras, depth and points are compared; the camera head reads all.
        size: (H, W) of the maps.
        config: betas and bounds.
        recompute: compute every part again in the backward pass, so that the maps of one live at once.
    """
    count, step = reconstructed.shape[2], max(1, FRAMES_AT_ONCE // reconstructed.shape[0])

    def compare(made: Tensor, aim: Tensor, chosen: list[int], maps: Maps | None) -> Part:
        made, of_all, of_chosen = made.float(), made.shape[2] / count, len(chosen) / len(frames)
        (patches, cameras), (target_patches, _) = split_volume(made), split_volume(aim.float())
        depth = points = made.new_zeros(())
        if maps is not None:
            seen = _read(vggt, made, chosen, size)
            depth = of_chosen * depth_loss(seen.depth, maps.depth, config.largest_error)
            points = of_chosen * points_loss(seen.points, maps.points, config.largest_error)
        return Part(
            image_tokens=of_all * F.smooth_l1_loss(patches, target_patches, beta=config.image_token_beta),
            similarity=of_all * cosine_loss(patches, target_patches),
            depth=depth,
            points=points,
            cameras=cameras,
        )

    parts = []
    volumes = zip(reconstructed.split(step, dim=2), target.split(step, dim=2), strict=True)
    for start, (made, aim) in zip(range(0, count, step), volumes, strict=True):
        chosen = [frame - start for frame in frames if start <= frame < start + step]
        with torch.no_grad():
            maps = _read(vggt, aim.float(), chosen, size) if chosen else None
        if recompute and torch.is_grad_enabled():
            parts.append(checkpoint(compare, made, aim, chosen, maps, use_reentrant=False))
        else:
            parts.append(compare(made, aim, chosen, maps))
    cameras = torch.cat([part.cameras for part in parts], dim=2)
    with torch.no_grad():
        target_cameras = split_volume(target)[1].float()
        target_poses = _poses(vggt, target_cameras, frames)
    return ReconstructionErrors(
        image_tokens=torch.stack([part.image_tokens for part in parts]).sum(),
        camera_tokens=F.smooth_l1_loss(cameras, target_cameras, beta=config.camera_token_beta),
        camera=camera_loss(_poses(vggt, cameras, frames), target_poses, config),
        depth=torch.stack([part.depth for part in parts]).sum(),
        points=torch.stack([part.points for part in parts]).sum(),
        similarity=torch.stack([part.similarity for part in parts]).sum() + cosine_loss(cameras, target_cameras),
    )


def _read(vggt: VGGT, volume: Float[Tensor, "B D5 n gh gw"], chosen: list[int], size: tuple[int, int]) -> Maps:
    """What the dense heads see in the `chosen` frames."""
    volume = volume if len(chosen) == volume.shape[2] else volume[:, :, chosen]
    layers = unpack_tokens(volume, vggt.config.special_tokens, camera_in_all=False)
    return Maps(vggt.depth_head(layers, size, None)[0], vggt.point_head(layers, size, None)[0])


def _poses(vggt: VGGT, cameras: Float[Tensor, "B D F"], frames: Sequence[int]) -> list[Float[Tensor, "B n 9"]]:
    """What the camera head, which reads all frames, says of these."""
    return [pose[:, list(frames)] for pose in vggt.camera_head(cameras.transpose(1, 2).unsqueeze(2))]
