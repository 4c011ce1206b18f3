"""Videos that need no learning: copies, warps and averages."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.eval.metrics.warp import land

OCCLUSION_TOLERANCE = 0.05
"""A point is hidden when the first frame's surface is nearer than it by more than this fraction."""
SKY_DISTANCE = 1e4
"""Sky is warped as if it were this many times as far as the farthest surface: by rotation alone."""


def copy_first(video: Float[Tensor, "F 3 H W"]) -> Float[Tensor, "F 3 H W"]:
    """The first frame, again and again."""
    return video[:1].expand_as(video)


def average_pool(video: Float[Tensor, "F 3 H W"], factor: int = 8) -> Float[Tensor, "F 3 H W"]:
    """Every ``factor`` x ``factor`` block of every frame replaced by its mean: the best piecewise constant picture.

    It keeps three numbers a block and frame, where the latent keeps four (16 channels for four frames).
    """
    return F.interpolate(F.avg_pool2d(video, factor), scale_factor=factor, mode="nearest")


def warp_first(
    video: Float[Tensor, "F 3 H W"], depth: Float[Tensor, "F H W"], cameras: Cameras, frame: int
) -> tuple[Float[Tensor, "3 H W"], Bool[Tensor, "H W"]]:
    """The first frame carried to the camera of ``frame`` by true depth, and which of its pixels the first frame saw.

    Backward warp: every pixel of ``frame`` is lifted with the true depth (z, 0 = sky) of ``frame`` and looked up
    bilinearly in the first frame. Pixels that are outside the first frame or hidden there are filled with a plain
    copy of the first frame's pixel at the same place. This knows the true depth of both frames: an upper bound for
    methods that estimate depth and paint nothing new.
    """
    far = SKY_DISTANCE * depth.max().clamp_min(1.0)
    landing = land(torch.where(depth[frame] > 0, depth[frame], far), cameras[frame], cameras[0])
    colours = landing.sample(video[0])
    surface = landing.sample(torch.where(depth[:1] > 0, depth[:1], far), mode="nearest")[0]
    seen = landing.inside & (landing.z < surface * (1 + OCCLUSION_TOLERANCE))
    return torch.where(seen, colours, video[0]), seen
