"""Reading video files frame by frame with PyAV (the FFmpeg libraries)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from gen3r.scene.files import VIDEO_SUFFIXES as VIDEO_SUFFIXES
from gen3r.scene.limits import check_picture_size, evenly_spread

# Reading a local file must never make FFmpeg follow a playlist or reference to somewhere else.
_OPEN_OPTIONS = {"protocol_whitelist": "file", "enable_drefs": "0"}


def read_video_frames(path: Path, *, max_frames: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (frame index, uint8 RGB [H, W, 3]) upright, at most `max_frames` evenly spread over the video.

    Only one decoded frame is held at a time. Raises `ValueError` for a file that holds no video, is
    truncated or damaged, or has pictures above 100 million pixels.
    """
    wanted: set[int] | None = None
    if max_frames is not None:
        wanted = set(evenly_spread(sum(1 for _ in _decode(path)), max_frames))
    for index, frame in enumerate(_decode(path)):
        if wanted is None or index in wanted:
            yield index, _upright(frame)


def read_timed_frames(path: Path, *, rate: float | None = None) -> Iterator[tuple[float | None, np.ndarray]]:
    """Yield (seconds since the first frame, uint8 RGB [H, W, 3]) upright, in the order they are shown.

    Args:
        path: the video.
        rate: frames per second to take: the first one at or after every 1/rate seconds. Left out, all frames, and
            the seconds are None where the file does not know them.

    One decoded frame is held at a time. Raises `ValueError` as `read_video_frames`, and for a rate that is not
    positive or of a video without times.
    """
    if rate is not None and not 0 < rate < 1e6:
        raise ValueError(f"expected a positive number of frames per second, got {rate}.")
    first, taken = None, 0
    for frame in _decode(path):
        if frame.time is None and rate is not None:
            raise ValueError(f"{path} does not say when its frames are shown; leave the rate out to take all of them.")
        first = frame.time if first is None else first
        elapsed = None if frame.time is None or first is None else frame.time - first
        if rate is None or (elapsed is not None and elapsed * rate > taken - 1e-6):
            yield elapsed, _upright(frame)
            taken = taken + 1 if rate is None or elapsed is None else math.floor(elapsed * rate + 1e-6) + 1


def count_frames(path: Path, *, rate: float | None = None) -> int | None:
    """About how many frames `read_timed_frames` will give, by the header alone; None if it does not say.

    Raises `ValueError` for a file that holds no video.
    """
    with _opened(path) as (container, stream):
        if rate is None and stream.frames:
            return stream.frames
        seconds = None if container.duration is None else container.duration / av.time_base
        speed = rate or stream.average_rate
        return None if seconds is None or speed is None else math.ceil(seconds * float(speed) - 1e-6)


def _decode(path: Path) -> Iterator[av.VideoFrame]:
    count = 0
    with _opened(path) as (container, stream):
        for frame in container.decode(stream):
            check_picture_size(str(path), frame.height, frame.width)
            if frame.is_corrupt:
                raise ValueError(f"{path} is truncated or damaged at frame {count}; get a fresh copy.")
            yield frame
            count += 1
    if count == 0:
        raise ValueError(f"{path} holds no video frames.")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        # Through a Python file object FFmpeg sees bytes, not a name it could read as a protocol or pattern.
        with path.open("rb") as file, av.open(file, mode="r", options=_OPEN_OPTIONS) as container:
            yield container, _video_stream(path, container)
    except av.FFmpegError as error:
        raise ValueError(f"{path} is not a readable video, or truncated ({error}); get a fresh copy.") from error


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise ValueError(f"{path} holds no video stream.")
    stream = container.streams.video[0]
    check_picture_size(str(path), stream.codec_context.height, stream.codec_context.width)
    stream.thread_type = "AUTO"
    return stream


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """RGB with the rotation that phones record instead of turning the pixels."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
