"""Single frames of a clip's frames.mp4, entered at the nearest keyframe."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from jaxtyping import UInt8

from gen3r.scene.limits import check_picture_size


@dataclass(frozen=True)
class Timeline:
    """When the frames of a video are shown, in its own ticks, in the order of showing."""

    ticks: tuple[int, ...]
    """Of every frame."""
    entries: tuple[int, ...]
    """Of the keyframes, where decoding may begin."""


def count_video_frames(content: bytes, where: str) -> int:
    """Number of frames of a video, without decoding it.

    Raises:
        ValueError: naming ``where``, if it is no readable video.
    """
    with _video(content, where) as container:
        return len(_timeline(container, _stream(container, where), where).ticks)


def read_video_at(content: bytes, indices: Sequence[int], where: str) -> UInt8[np.ndarray, "n H W 3"]:
    """Decode the frames of these numbers, in this order; each needs the frames since the keyframe before it.

    Raises:
        ValueError: naming ``where``, if it is no readable video, or is damaged or ends before a frame asked for.
    """
    found: dict[int, np.ndarray] = {}
    try:
        with _video(content, where) as container:
            stream = _stream(container, where)
            timeline = _timeline(container, stream, where)
            if indices and max(indices) >= len(timeline.ticks):
                raise ValueError(f"{where} holds {len(timeline.ticks)} frames; frame {max(indices)} was asked for.")
            runs: dict[int, set[int]] = {}
            for index in set(indices):
                tick = timeline.ticks[index]
                entry = timeline.entries[max(0, bisect_right(timeline.entries, tick) - 1)]
                runs.setdefault(entry, set()).add(tick)
            for entry, wanted in sorted(runs.items()):
                found |= _decode(container, stream, entry, wanted)
    except av.FFmpegError as error:
        raise ValueError(f"{where} is not a readable video, or truncated ({error}); get a fresh copy.") from error
    lost = [index for index in indices if timeline.ticks[index] not in found]
    if lost:
        raise ValueError(f"{where} is damaged: frames {lost[:5]} cannot be decoded; get a fresh copy.")
    return np.stack([found[timeline.ticks[index]] for index in indices])


def _decode(container: InputContainer, stream: VideoStream, entry: int, wanted: set[int]) -> dict[int, np.ndarray]:
    container.seek(entry, stream=stream, backward=True)
    found: dict[int, np.ndarray] = {}
    for frame in container.decode(stream):
        if frame.pts in wanted and not frame.is_corrupt:
            found[frame.pts] = frame.to_ndarray(format="rgb24")
        if len(found) == len(wanted):
            break
    return found


def _video(content: bytes, where: str) -> InputContainer:
    try:
        return av.open(io.BytesIO(content), mode="r", options={"protocol_whitelist": "file", "enable_drefs": "0"})
    except av.FFmpegError as error:
        raise ValueError(f"{where} is not a readable video ({error}); get a fresh copy.") from error


def _stream(container: InputContainer, where: str) -> VideoStream:
    if not container.streams.video:
        raise ValueError(f"{where} holds no video stream.")
    stream = container.streams.video[0]
    check_picture_size(where, stream.codec_context.height, stream.codec_context.width)
    return stream


def _timeline(container: InputContainer, stream: VideoStream, where: str) -> Timeline:
    packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.pts is not None and p.size]
    if not any(key for _, key in packets):
        raise ValueError(f"{where} holds no video frames.")
    return Timeline(
        ticks=tuple(sorted(pts for pts, _ in packets)),
        entries=tuple(sorted(pts for pts, key in packets if key)),
    )
