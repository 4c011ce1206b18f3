"""Whether pictures and cameras agree: points matched between pictures must lie where the cameras allow them.

Needs OpenCV (the extra ``data``). SIFT points are matched between pairs of frames, a robust fit throws out wrong
matches, and what is left is held against the cameras: by the Sampson distance to the epipolar lines, or, for a camera
that only turns, by the distance to where the turn puts them. Points must also lie in front of both cameras, which
poses of the wrong direction violate even where their epipolar lines are right.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from gen3r.cameras import Cameras
from gen3r.scene.limits import evenly_spread

SIDE = 640
"""Pixels of the longer side at which pictures are matched and errors counted."""
_ANCHORS = 4
_SHARES = (2, 4, 8, 16)
"""Frames are compared over this fraction of the clip: as far apart as enough matches are found."""
_LEAST_MATCHES = 30
_LEAST_SHIFT = 6.0
"""Pixels that matched points move by (median), below which a pair says nothing."""
_LEAST_ANGLE = 0.5
"""Degrees between the rays of a point, below which it is too far to tell in front from behind."""
_RATIO = 0.75
"""Of the distances to the best and second best match."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How cameras fit what is seen."""

    error: float
    """Pixels at 640: median over pairs of frames of the median over matches."""
    in_front: float | None
    """Share of matched points in front of both cameras; None if nothing is near enough to tell."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """Points matched between two frames."""

    frames: tuple[int, int]
    """Their numbers."""
    pixels: tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n 2"]]
    """Where the points are in each."""


@dataclass(frozen=True, kw_only=True)
class Points:
    """Points found in a picture."""

    pixels: Float64[np.ndarray, "n 2"]
    """Corner origin, at the size of matching."""
    descriptors: np.ndarray
    """``[n, 128]``."""


def match_frames(frames: int, read: Callable[[int], UInt8[np.ndarray, "H W 3"]]) -> list[Match]:
    """Match a few pairs of frames, spread over the clip; pairs without enough matches are left out.

    Args:
        frames: number of frames.
        read: gives the picture of a frame.
    """
    found: dict[int, Points] = {}

    def points(frame: int) -> Points:
        if frame not in found:
            found[frame] = _find_points(read(frame))
        return found[frame]

    matches: list[Match] = []
    for anchor in evenly_spread(max(1, frames - frames // 4), _ANCHORS):
        for share in _SHARES:
            other = anchor + max(1, frames // share)
            matched = _match(points(anchor), points(other)) if other < frames else None
            if matched is not None:
                matches.append(Match(frames=(anchor, other), pixels=matched))
                break
    return matches


def agreement(cameras: Cameras, matches: Sequence[Match]) -> Agreement:
    """Hold cameras ``[F]`` against matches, of which there must be some."""
    scale = SIDE / max(cameras.height, cameras.width)
    intrinsics = cameras.intrinsics.double().numpy() * np.array([[[scale], [scale], [1]]])
    extrinsics = cameras.extrinsics.double().numpy()
    errors: list[float] = []
    fronts: list[float] = []
    for match in matches:
        first, second = match.frames
        pair = (extrinsics[second] @ np.linalg.inv(extrinsics[first]), intrinsics[first], intrinsics[second])
        errors.append(_error(*match.pixels, *pair))
        front = _share_in_front(*match.pixels, *pair)
        fronts += [front] if front is not None else []
    return Agreement(error=statistics.median(errors), in_front=statistics.median(fronts) if fronts else None)


def _find_points(rgb: UInt8[np.ndarray, "H W 3"]) -> Points:
    height, width = rgb.shape[:2]
    scale = SIDE / max(height, width)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if scale != 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    keypoints, descriptors = cv2.SIFT.create(nfeatures=1500).detectAndCompute(grey, None)
    pixels = np.array([point.pt for point in keypoints], dtype=np.float64).reshape(-1, 2) + 0.5  # OpenCV: centres at 0
    return Points(pixels=pixels, descriptors=np.zeros((0, 128), np.float32) if descriptors is None else descriptors)


def _match(first: Points, second: Points) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n 2"]] | None:
    """Pixels of mutual matches that one fundamental matrix explains; None if they are too few or hardly move."""
    if min(len(first.pixels), len(second.pixels)) < _LEAST_MATCHES:
        return None
    forward = _best(first.descriptors, second.descriptors)
    backward = _best(second.descriptors, first.descriptors)
    pairs = np.array([(a, b) for a, b in forward.items() if backward.get(b) == a], dtype=np.int64).reshape(-1, 2)
    if len(pairs) < _LEAST_MATCHES:
        return None
    a, b = first.pixels[pairs[:, 0]], second.pixels[pairs[:, 1]]
    _, mask = cv2.findFundamentalMat(a, b, cv2.USAC_MAGSAC, 1.5, 0.999, 5000)
    inliers = mask.ravel() > 0 if mask is not None else np.zeros(len(a), dtype=bool)
    a, b = a[inliers], b[inliers]
    if len(a) < _LEAST_MATCHES or float(np.median(np.linalg.norm(a - b, axis=1))) < _LEAST_SHIFT:
        return None
    return a, b


def _best(queries: np.ndarray, candidates: np.ndarray) -> dict[int, int]:
    matches: Any = cv2.BFMatcher(cv2.NORM_L2).knnMatch(queries, candidates, k=2)
    return {m[0].queryIdx: m[0].trainIdx for m in matches if len(m) == 2 and m[0].distance < _RATIO * m[1].distance}


def _error(
    first: Float64[np.ndarray, "n 2"],
    second: Float64[np.ndarray, "n 2"],
    second_from_first: Float64[np.ndarray, "4 4"],
    K1: Float64[np.ndarray, "3 3"],
    K2: Float64[np.ndarray, "3 3"],
) -> float:
    rotation, translation = second_from_first[:3, :3], second_from_first[:3, 3]
    x1, x2 = _homogeneous(first), _homogeneous(second)
    turned = x1 @ (K2 @ rotation @ np.linalg.inv(K1)).T
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(turned[:, 2] > 0, np.linalg.norm(turned[:, :2] / turned[:, 2:] - second, axis=1), np.inf)
    error = float(np.median(apart))
    length = float(np.linalg.norm(translation))
    if length > 0:
        x, y, z = translation / length
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        fundamental = np.linalg.inv(K2).T @ cross @ rotation @ np.linalg.inv(K1)
        lines2, lines1 = x1 @ fundamental.T, x2 @ fundamental
        slope = np.sqrt((lines2[:, :2] ** 2).sum(1) + (lines1[:, :2] ** 2).sum(1))
        error = min(error, float(np.median(np.abs((x2 * lines2).sum(1)) / np.maximum(slope, 1e-12))))
    return error


def _share_in_front(
    first: Float64[np.ndarray, "n 2"],
    second: Float64[np.ndarray, "n 2"],
    second_from_first: Float64[np.ndarray, "4 4"],
    K1: Float64[np.ndarray, "3 3"],
    K2: Float64[np.ndarray, "3 3"],
) -> float | None:
    """Share of points in front of both cameras, of those whose rays differ enough to tell."""
    rays1 = _unit(_homogeneous(first) @ np.linalg.inv(K1).T @ second_from_first[:3, :3].T)
    rays2 = _unit(_homogeneous(second) @ np.linalg.inv(K2).T)
    angles = np.degrees(np.arccos(np.clip((rays1 * rays2).sum(1), -1, 1)))
    near = angles > _LEAST_ANGLE
    if near.sum() < _LEAST_MATCHES or np.linalg.norm(second_from_first[:3, 3]) == 0:
        return None
    # translation + s1 ray1 = s2 ray2, solved for both distances in the least-squares sense
    r1, r2, t = rays1[near], rays2[near], second_from_first[:3, 3]
    cosine, along1, along2 = (r1 * r2).sum(1), r1 @ t, r2 @ t
    distance1 = (cosine * along2 - along1) / (1 - cosine**2)
    distance2 = (along2 - cosine * along1) / (1 - cosine**2)
    return float(((distance1 > 0) & (distance2 > 0)).mean())


def _homogeneous(pixels: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 3"]:
    return np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)


def _unit(rays: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n 3"]:
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)
