"""How well the video, the depth and the cameras of a scene agree: each frame is carried into others and compared."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d

from gen3r.cameras.projection import project, unproject
from gen3r.scene.consistency import neighbour_frames
from gen3r.scene.scene import Scene

NEIGHBOURS = 6
"""Frames that each frame is carried into: those 1, 2 and 4 before and after it."""
POINTS = 10_000
"""Pixels of each frame that are carried, evenly spread."""
TOLERANCE = 0.05
"""Relative difference of depth up to which two frames show the same surface."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Agreement of the parts of a scene, in numbers; None where there is nothing to compare."""

    agreement: float | None
    """Of the pixels that another frame could contradict, the share it confirms: it sees a surface at that depth, not
    something behind it. Pixels that land outside or behind a surface say nothing. 1 is best."""
    color_error: float | None
    """Mean absolute difference of colour, 0..1, between confirmed pixels and where they land. 0 is best."""
    overlap: float | None
    """Share of pixels that land inside the neighbouring frames."""
    motion: float | None
    """Median shift from one frame to the next, as a share of the diagonal. Scenes without any agree too easily."""
    valid: float
    """Share of pixels with depth."""


@torch.no_grad()
def measure_quality(scene: Scene) -> Quality:
    """Carry pixels into neighbouring frames by depth and cameras, and compare depth and colour there.

    With z the depth of a carried pixel, and near and far the least and greatest depth within one pixel of where it
    lands: z within `TOLERANCE` of [near, far] is confirmed, less is contradicted, more is hidden.
    """
    far = torch.where(scene.mask, scene.depth, -torch.inf)
    far = max_pool2d(far[:, None], 3, stride=1, padding=1)[:, 0]
    near = -max_pool2d(torch.where(scene.mask, -scene.depth, -torch.inf)[:, None], 3, stride=1, padding=1)[:, 0]
    rgb = scene.rgb.permute(0, 3, 1, 2).float() / 255
    stride = max(1, math.ceil(math.sqrt(scene.height * scene.width / POINTS)))
    rows, columns = torch.meshgrid(
        torch.arange(stride // 2, scene.height, stride), torch.arange(stride // 2, scene.width, stride), indexing="ij"
    )
    size = torch.tensor([scene.width, scene.height], dtype=torch.float32)
    carried = inside = confirmed = contradicted = 0
    error = 0.0
    shifts: list[Tensor] = []
    for index in range(scene.frames):
        chosen = scene.mask[index, rows, columns]
        row, column = rows[chosen], columns[chosen]
        points = unproject(scene.depth[index], scene.cameras[index])[row, column]
        colors = rgb[index][:, row, column]
        for other in neighbour_frames(index, scene.frames, NEIGHBOURS):
            pixels, z = project(points, scene.cameras[other])
            lands = (z > 0) & (pixels >= 0).all(-1) & (pixels < size).all(-1)
            x, y = pixels[lands].long().unbind(-1)
            least, greatest, z = near[other, y, x], far[other, y, x], z[lands]
            known = greatest > 0
            before = known & (z < (1 - TOLERANCE) * least)
            same = known & ~before & (z <= (1 + TOLERANCE) * greatest)
            carried, inside = carried + len(lands), inside + int(lands.sum())
            confirmed, contradicted = confirmed + int(same.sum()), contradicted + int(before.sum())
            seen = _colors_at(rgb[other], pixels[lands][same], size)
            error += float((seen - colors[:, lands][:, same]).abs().mean(0).sum())
            if abs(other - index) == 1:
                start = torch.stack([column[lands] + 0.5, row[lands] + 0.5], dim=-1)
                shifts.append((pixels[lands] - start).norm(dim=-1))
    judged = confirmed + contradicted
    moved = torch.cat(shifts) if shifts else torch.zeros(0)
    return Quality(
        agreement=_rounded(confirmed / judged) if judged else None,
        color_error=_rounded(error / confirmed) if confirmed else None,
        overlap=_rounded(inside / carried) if carried else None,
        motion=_rounded(float(moved.median()) / math.hypot(scene.width, scene.height)) if len(moved) else None,
        valid=_rounded(float(scene.mask.float().mean())),
    )


def _colors_at(
    picture: Float32[Tensor, "3 H W"], pixels: Float[Tensor, "N 2"], size: Float32[Tensor, 2]
) -> Float32[Tensor, "3 N"]:
    """Between pixel centres, linearly."""
    places = (2 * pixels / size - 1)[None, None]
    return grid_sample(picture[None], places, mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0]


def _rounded(value: float) -> float:
    return round(value, 6)
