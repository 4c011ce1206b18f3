"""The unit of a clip's cameras: the mean depth of its first view, in whatever unit the dataset has."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.cameras.pose_encoding import decode_pose
from gen3r.conditioning.cameras import scene_scale
from gen3r.models.vggt import VGGTOutput

VIEWS = 8
"""Frames of a clip that VGGT reads for its scale, evenly spread."""
STATIC_BASELINE = 1e-3
"""Travel in mean depths below which cameras stand still as far as VGGT can tell."""


@torch.no_grad()
def estimated_scale(
    video: Float[Tensor, "one F 3 H W"], cameras: Cameras, vggt: Callable[[Tensor], VGGTOutput]
) -> Float[Tensor, " one"]:
    """The scene's scale of a clip without depth, in the unit of ``cameras`` ``[1, F]``.

    VGGT reads some frames. The mean depth of the first in VGGT's unit is brought to the cameras' by the ratio of what
    both say the cameras travel, as sampling does for cameras of unknown unit. Cameras that stand still in VGGT's eyes
    are taken to travel ``STATIC_BASELINE`` mean depths, which is next to nothing.
    """
    frames = torch.linspace(0, video.shape[1] - 1, min(VIEWS, video.shape[1])).round().long()
    output = vggt(video[:, frames.to(video.device)])
    seen = decode_pose(output.pose_encoding.float(), cameras.height, cameras.width)
    asked = _travel(cameras[:, frames.to(cameras.device)])
    mean_depths = _travel(seen) / scene_scale(output.depth[:, 0])
    scale = asked / mean_depths.to(asked).clamp(min=STATIC_BASELINE)
    return scale.where(asked > 0, 1.0)


def _travel(cameras: Cameras) -> Float[Tensor, " one"]:
    return (cameras.centers - cameras.centers[:, :1]).norm(dim=-1).sum(dim=1)
