"""Which frames of a scene can be used, and how a long scene is cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from gen3r.data.converting.raw import RawCamera, RawFrame, UnusableScene

ROTATION_TOLERANCE = 1e-4
"""Largest accepted entry of ``R R^T - 1``."""
_FAR = 1e12
"""No position or focal length is so large."""
_SHOWN = 8

Item = TypeVar("Item")


def usable_frames(frames: Sequence[RawFrame]) -> tuple[tuple[tuple[int, RawFrame], ...], tuple[str, ...]]:
    """The frames whose camera is one and whose picture has the size that most have, numbered; notes on the others."""
    reasons = [camera_problem(frame.camera) for frame in frames]
    sizes = Counter((f.camera.height, f.camera.width) for f, reason in zip(frames, reasons, strict=True) if not reason)
    if sizes:
        usual, _ = max(sizes.items(), key=lambda item: item[1])
        for index, frame in enumerate(frames):
            size = (frame.camera.height, frame.camera.width)
            if not reasons[index] and size != usual:
                reasons[index] = f"of {size[0]}x{size[1]} pixels where most have {usual[0]}x{usual[1]}"
    kept = tuple(pair for pair, reason in zip(enumerate(frames), reasons, strict=True) if not reason)
    return kept, notes_on(enumerate(reasons))


def notes_on(reasons: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """One line per reason with the frames it holds for; frames without a reason are left out."""
    grouped: dict[str, list[int]] = {}
    for index, reason in reasons:
        if reason:
            grouped.setdefault(reason, []).append(index)
    return tuple(f"left out {_listed(indices)}: {reason}" for reason, indices in grouped.items())


def camera_problem(camera: RawCamera) -> str:
    """What is wrong with a camera; empty if nothing is."""
    pose, intrinsics = camera.world_from_camera, camera.intrinsics
    if camera.height < 1 or camera.width < 1:
        return "its picture is missing or damaged"
    if not np.isfinite(pose).all() or not np.isfinite(intrinsics).all():
        return "its camera is not finite"
    rotation = pose[:3, :3]
    is_rotation = np.abs(rotation).max() < 2 and np.linalg.det(rotation) > 0
    if not is_rotation or np.abs(rotation @ rotation.T - np.eye(3)).max() > ROTATION_TOLERANCE:
        return "its pose is no rotation and translation"
    if np.abs(pose).max() > _FAR or np.abs(intrinsics).max() > _FAR:
        return "its position or focal length is beyond all measure"
    if np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-9:
        return "the last row of its pose is not 0 0 0 1"
    if (np.diagonal(intrinsics)[:2] <= 0).any() or np.abs(intrinsics[2] - [0, 0, 1]).max() > 1e-9:
        return "its focal lengths are not positive"
    if np.abs([intrinsics[0, 1], intrinsics[1, 0]]).max() > 1e-9:
        return "its pixels are skewed"
    return ""


def cut(items: Sequence[Item], most: int, least: int) -> tuple[Sequence[Item], ...]:
    """Parts of nearly equal length, none longer than ``most``.

    Raises:
        UnusableScene: if there are fewer than ``least`` items.
    """
    if len(items) < max(least, 1):
        raise UnusableScene(f"it has {len(items)} usable frames, at least {least} are wanted.")
    parts = -(-len(items) // most)
    bounds = [round(part * len(items) / parts) for part in range(parts + 1)]
    return tuple(items[start:stop] for start, stop in pairwise(bounds))


def _listed(indices: Sequence[int]) -> str:
    words = ", ".join(map(str, indices[:_SHOWN])) + (f" and {len(indices) - _SHOWN} more" * (len(indices) > _SHOWN))
    return f"frame{'s' * (len(indices) > 1)} {words}"
