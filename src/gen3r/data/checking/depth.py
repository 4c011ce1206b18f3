"""Whether depth and cameras describe the same surfaces."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from jaxtyping import Float, Float32
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.cameras.projection import project, unproject
from gen3r.scene.limits import evenly_spread

_MOST_POINTS = 20_000
_LEAST_POINTS = 100
"""Pixels seen in both frames below which a pair says nothing."""


def frame_pairs(frames: int, *, anchors: int = 4, shares: Sequence[int] = (8, 3)) -> list[tuple[int, int]]:
    """Pairs of frames, an eighth and a third of the clip apart, spread over the clip."""
    pairs: list[tuple[int, int]] = []
    for share in shares:
        gap = min(frames - 1, max(1, frames // share))
        pairs += [(first, first + gap) for first in evenly_spread(frames - gap, anchors)] if gap else []
    return list(dict.fromkeys(pairs))


def depth_disagreement(cameras: Cameras, read: Callable[[list[int]], Float32[Tensor, "n H W"]]) -> float | None:
    """Median over pairs of frames of the median of |z - depth| / depth.

    Pixels of one frame are lifted by its depth and camera, seen from the other frame at distance z, and compared with
    the depth found there. Hidden pixels disagree, too, but are few between frames that are close.

    Args:
        cameras: ``[F]``.
        read: gives the depth of frames, 0 = none.

    Returns:
        The disagreement, or None if no two frames share enough pixels with depth.
    """
    found: list[float] = []
    for first, second in frame_pairs(len(cameras)):
        depth = read([first, second])
        errors = _errors(depth[0], cameras[first], depth[1], cameras[second])
        if len(errors) >= _LEAST_POINTS:
            found.append(float(errors.median()))
    return statistics.median(found) if found else None


def _errors(
    depth: Float32[Tensor, "H W"], camera: Cameras, other_depth: Float32[Tensor, "H W"], other: Cameras
) -> Float[Tensor, " n"]:
    points = unproject(depth.double(), _double(camera))[depth > 0]
    points = points[:: max(1, len(points) // _MOST_POINTS)]
    pixels, z = project(points, _double(other))
    column, row = pixels.floor().nan_to_num(-1, -1, -1).unbind(-1)
    inside = (z > 0) & (column >= 0) & (column < other.width) & (row >= 0) & (row < other.height)
    there = other_depth.double()[row[inside].long(), column[inside].long()]
    return ((z[inside] - there).abs() / there)[there > 0]


def _double(cameras: Cameras) -> Cameras:
    return Cameras(cameras.extrinsics.double(), cameras.intrinsics.double(), cameras.height, cameras.width)
