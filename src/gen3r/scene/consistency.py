"""How the frames of a scene judge each other's depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32, Int
from torch import Tensor
from torch.nn.functional import max_pool2d

from gen3r.cameras.projection import project, unproject
from gen3r.scene.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Votes:
    """What other frames say about every pixel of a scene."""

    agree: Int[Tensor, "F H W"]
    """Frames that see a surface where this pixel puts one."""
    contradict: Int[Tensor, "F H W"]
    """Frames that look through this pixel's surface at something behind it: it stands in free space."""


def depth_votes(scene: Scene, valid: Bool[Tensor, "F H W"], *, tolerance: float, neighbours: int) -> Votes:
    """Reproject the valid pixels of each frame into other frames and compare depths.

    With z the depth of the point in the other camera, and near and far the least and greatest depth there within one
    pixel of where it lands, the frame contradicts if z < (1 - tolerance) near, and agrees if z is not beyond
    (1 + tolerance) far. Points beyond that are hidden, points outside the picture unseen, and where the other frame
    knows no surface it says nothing: none of these is a vote.

    Args:
        scene: F frames; depth and cameras are used.
        valid: pixels to judge, and to judge by.
        tolerance: relative depth.
        neighbours: other frames asked for each frame, see `neighbour_frames`. Memory does not grow with it.
    """
    near = torch.stack([-_largest_nearby(-depth, mask) for depth, mask in zip(scene.depth, valid, strict=True)])
    far = torch.stack([_largest_nearby(depth, mask) for depth, mask in zip(scene.depth, valid, strict=True)])
    agree = torch.zeros(scene.depth.shape, dtype=torch.int16)
    contradict = torch.zeros_like(agree)
    for index in range(scene.frames):
        chosen = valid[index]
        points = unproject(scene.depth[index], scene.cameras[index])[chosen]
        ayes, noes = torch.zeros(2, len(points), dtype=torch.int16)
        for other in neighbour_frames(index, scene.frames, neighbours):
            pixels, z = project(points, scene.cameras[other])
            column, row = pixels.floor().nan_to_num(-1, -1, -1).unbind(-1)
            inside = (z > 0) & (column >= 0) & (column < scene.width) & (row >= 0) & (row < scene.height)
            place = torch.where(inside, row * scene.width + column, 0).long()
            nearest, farthest = near[other].flatten()[place], far[other].flatten()[place]
            seen = inside & (farthest > 0)
            noes += seen & (z < (1 - tolerance) * nearest)
            ayes += seen & (z >= (1 - tolerance) * nearest) & (z <= (1 + tolerance) * farthest)
        agree[index][chosen], contradict[index][chosen] = ayes, noes
    return Votes(agree=agree, contradict=contradict)


def neighbour_frames(index: int, frames: int, count: int) -> list[int]:
    """Up to `count` other frames, 1, 2, 4, ... away on both sides: near ones see the same, far ones from elsewhere."""
    steps = [sign * 2**power for power in range(frames.bit_length()) for sign in (1, -1)]
    return [index + step for step in steps if 0 <= index + step < frames][:count]


def _largest_nearby(values: Float32[Tensor, "H W"], mask: Bool[Tensor, "H W"]) -> Float32[Tensor, "H W"]:
    """Largest valid value of each 3 x 3 neighbourhood; -infinity where none is valid."""
    return max_pool2d(torch.where(mask, values, -torch.inf)[None, None], 3, stride=1, padding=1)[0, 0]
