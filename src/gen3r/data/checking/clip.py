"""All checks of one clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.data.checking.alternatives import alternatives
from gen3r.data.checking.depth import depth_disagreement
from gen3r.data.checking.motion import Motion, jumps
from gen3r.data.checking.pictures import SIDE, SMALL_SIDE, Grey, change, grey, sharpness
from gen3r.data.checking.report import ClipReport, Fault, Reason
from gen3r.data.checking.thresholds import CheckThresholds
from gen3r.data.schema.pictures import decode_depth, decode_mask, decode_rgb
from gen3r.data.schema.record import DEPTH, FRAMES, MASKS
from gen3r.data.schema.stored import StoredClip
from gen3r.extras import Extra
from gen3r.scene.limits import evenly_spread

OPENCV = Extra(name="data", modules=("cv2",))
_LOOKED_AT = 12
"""Frames whose sharpness and change are measured, evenly spread."""
_DECODERS = {FRAMES: decode_rgb, DEPTH: decode_depth, MASKS: decode_mask}
_DEPTH_NOISE, _MATCH_NOISE = 0.01, 1.0
"""Errors below which no other convention is tried: sensors and pose estimates are not better."""
_TOLD = 3
"""Details of one kind that are told."""


@dataclass
class _Findings:
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)

    def add(self, reason: Reason, details: list[str]) -> None:
        if details:
            more = f"; and {len(details) - _TOLD} more" if len(details) > _TOLD else ""
            self.faults.append(Fault(reason=reason, detail="; ".join(details[:_TOLD]) + more))


def check_clip(clip: StoredClip, limits: CheckThresholds | None = None, *, matching: bool = True) -> ClipReport:
    """Look at a clip and say what is wrong with it.

    Every file is read and decoded. Sharpness, change, depth and cameras are measured on a dozen frames.

    Args:
        clip: the clip.
        limits: when it counts as bad.
        matching: whether to compare cameras with points matched between pictures, if OpenCV is installed.
    """
    limits, found = limits or CheckThresholds(), _Findings()
    cameras = _read_cameras(clip, found)
    looks = _check_frames(clip, limits, found)
    depth_is_good = clip.record.depth_scale is None or _check_files(clip, DEPTH, found)
    if clip.record.masks is not None:
        _check_files(clip, MASKS, found)
    _check_captions(clip, found)
    if cameras is not None:
        motion = Motion.of(cameras)
        found.add("cameras jump", jumps(motion, limits))
        if motion.is_still:
            found.notes.append("the camera stands still")
        if clip.record.depth_scale is not None and depth_is_good and len(cameras) > 1:
            _check_depth(clip, cameras, limits, found)
        if looks and matching and len(cameras) > 1:
            _check_matches(clip, cameras, limits, found)
    return ClipReport(clip=clip.name, faults=tuple(found.faults), notes=tuple(found.notes), measures=found.measures)


def _read_cameras(clip: StoredClip, found: _Findings) -> Cameras | None:
    try:
        return clip.cameras
    except ValueError as error:
        found.add("unreadable", [str(error)])
        return None


def _check_frames(clip: StoredClip, limits: CheckThresholds, found: _Findings) -> bool:
    """Sizes, readability, sharpness and change; whether all frames could be read."""
    frames = clip.record.frames
    if frames < limits.least_frames:
        found.add("too few frames", [f"{frames} frames, expected at least {limits.least_frames}"])
    elif frames < limits.usual_frames:
        found.notes.append(f"fewer than {limits.usual_frames} frames: training repeats the ends")
    chosen = set(evenly_spread(frames, _LOOKED_AT))
    sharp: list[float] = []
    small: list[Grey] = []
    if clip.record.frames_kind == "pictures":
        if not _check_files(clip, FRAMES, found):
            return False
        pictures = ((index, clip.rgb([index])[0].numpy()) for index in sorted(chosen))
    else:
        pictures = _video_frames(clip, chosen)
    try:
        for _, rgb in pictures:
            sharp.append(sharpness(grey(rgb, SIDE)))
            small.append(grey(rgb, SMALL_SIDE))
    except ValueError as error:
        found.add("unreadable", [str(error)])
        return False
    found.measures |= {"sharpness": float(np.median(sharp)), "change": change(small)}
    if found.measures["sharpness"] < limits.least_sharpness:
        found.add(
            "blurred", [f"sharpness {found.measures['sharpness']:.2f}, expected at least {limits.least_sharpness}"]
        )
    if frames > 1 and found.measures["change"] < limits.least_change:
        found.add(
            "static",
            [f"frames differ by {found.measures['change']:.2f} grey levels, expected at least {limits.least_change}"],
        )
    return True


def _video_frames(clip: StoredClip, chosen: set[int]) -> Iterator[tuple[int, UInt8[np.ndarray, "H W 3"]]]:
    """The chosen frames, after decoding all of them piece by piece."""
    for start in range(0, clip.record.frames, 32):
        indices = list(range(start, min(start + 32, clip.record.frames)))
        for index, rgb in zip(indices, clip.rgb(indices).numpy(), strict=True):
            if index in chosen:
                yield index, rgb


def _check_files(clip: StoredClip, folder: str, found: _Findings) -> bool:
    """Decode every picture of a folder; whether all are as they should be."""
    try:
        names = clip.pictures(folder)
    except ValueError as error:
        found.add("unreadable", [str(error)])
        return False
    expected = (clip.record.height, clip.record.width)
    broken: list[str] = []
    odd: list[str] = []
    for name in names:
        try:
            size = _DECODERS[folder](clip.files.read(name), name).shape[:2]
        except ValueError as error:
            broken.append(str(error))
            continue
        if size != expected:
            odd.append(f"{name} is {size[0]}x{size[1]}, expected {expected[0]}x{expected[1]}")
    found.add("unreadable", broken)
    found.add("wrong size", odd)
    return not broken and not odd


def _check_captions(clip: StoredClip, found: _Findings) -> None:
    try:
        if not clip.captions:
            found.notes.append("no captions")
    except ValueError as error:
        found.add("unreadable", [str(error)])


def _check_depth(clip: StoredClip, cameras: Cameras, limits: CheckThresholds, found: _Findings) -> None:
    def read(indices: list[int]) -> Float32[Tensor, "n H W"]:
        depth = clip.depth(indices)
        return torch.zeros(0, 0, 0) if depth is None else depth

    error = depth_disagreement(cameras, read)
    if error is None:
        found.notes.append("too little depth is seen from two frames to compare it with the cameras")
        return
    found.measures["depth_error"] = error
    details = []
    if error > limits.depth_error:
        details.append(
            f"seen from another frame, depth is off by {error:.1%}, expected at most {limits.depth_error:.1%}"
        )
    if error > _DEPTH_NOISE:
        tried = {how: depth_disagreement(other, read) for how, other in alternatives(cameras).items()}
        better, how = min(((value, how) for how, value in tried.items() if value is not None), default=(error, ""))
        if better * limits.better < error:
            details.append(f"seen from another frame, depth is off by {error:.1%}; {better:.1%} with poses {how}")
    found.add("depth disagrees", details)


def _check_matches(clip: StoredClip, cameras: Cameras, limits: CheckThresholds, found: _Findings) -> None:
    if OPENCV.missing:
        found.notes.append(f"cameras were not compared with the pictures, for want of OpenCV: {OPENCV.remedy}")
        return
    from gen3r.data.checking.matches import agreement, match_frames

    matches = match_frames(len(cameras), lambda index: clip.rgb([index])[0].numpy())
    if not matches:
        found.notes.append("too few matches between pictures to compare them with the cameras")
        return
    given, details = agreement(cameras, matches), []
    found.measures |= {"match_error": given.error, "match_pairs": len(matches)}
    if given.error > limits.match_error:
        details.append(
            f"matched points are {given.error:.1f} pixels from where the cameras allow them, expected at most "
            f"{limits.match_error}"
        )
    if given.in_front is not None:
        found.measures["in_front"] = given.in_front
        if given.in_front < limits.least_in_front:
            details.append(
                f"{given.in_front:.0%} of matched points lie in front of the cameras, expected at least "
                f"{limits.least_in_front:.0%}"
            )
    if details or given.error > _MATCH_NOISE:
        tried = [(agreement(mistaken, matches), how) for how, mistaken in alternatives(cameras).items()]
        better, how = min(tried, key=lambda pair: (-round(pair[0].in_front or 0), pair[0].error))
        behind = given.in_front is not None and given.in_front < limits.least_in_front
        if better.error * limits.better < given.error or (behind and better.error <= given.error):
            details.append(f"{better.error:.1f} instead of {given.error:.1f} pixels with poses {how}")
    found.add("cameras disagree", details)
