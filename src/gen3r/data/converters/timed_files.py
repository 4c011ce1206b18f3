"""The two kinds of files that hold timed cameras: text beside folders of frames, and pixelSplat's chunks."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from gen3r.data.converters.side_files import brief, read_text
from gen3r.data.converting.raw import UnusableScene

_COLUMNS = 18
"""Numbers of a camera, after its time."""
_LATEST = 10**15
"""Microseconds: thirty years."""
_REAL = (torch.uint8, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64)
_NO_CHUNK = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    OverflowError,
    ImportError,
    struct.error,
)
"""What torch raises for damaged files."""
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, kw_only=True)
class TimedClip:
    """What the files hold of one clip."""

    cameras: Mapping[int, Float64[np.ndarray, " 18"]]
    """Numbers by time in microseconds."""
    pictures: Mapping[int, Path | Callable[[], bytes]]
    """Frames by time."""
    notes: tuple[str, ...]
    """What was not understood."""


def is_frame(name: str) -> bool:
    """Whether a file is a frame: a picture whose name is a whole number."""
    stem, suffix = os.path.splitext(name)
    return suffix.lower() in _SUFFIXES and stem.isdecimal()


def text_clip(text: Path, folder: Path) -> TimedClip:
    """The cameras of a text file and the frames in a folder.

    Raises:
        UnusableScene: if there are no cameras.
    """
    cameras: dict[int, np.ndarray] = {}
    bad: list[int] = []
    repeated = 0
    for number, line in enumerate(read_text(text).splitlines(), start=1):
        words = line.split()
        if not words or (number == 1 and len(words) == 1):
            continue  # the URL
        try:
            time, values = int(words[0]), np.array([float(word) for word in words[1:]])
        except ValueError:
            time, values = 0, np.zeros(0)
        if len(values) != _COLUMNS or not 0 <= time < _LATEST:
            bad.append(number)
        elif time in cameras:
            repeated += 1
        else:
            cameras[time] = values
    if not cameras:
        raise UnusableScene(f"{text.name} holds no cameras" + (f": damaged lines {brief(bad)}." if bad else "."))
    return TimedClip(cameras=cameras, pictures=_frames_in(folder), notes=_notes(text.name, bad, repeated))


def _notes(name: str, bad: list[int], repeated: int) -> tuple[str, ...]:
    notes = [f"{name}: damaged lines {brief(bad)}"] if bad else []
    return (*notes, *([f"{name}: {repeated} times given twice"] if repeated else []))


def _frames_in(folder: Path) -> dict[int, Path]:
    with os.scandir(folder) as entries:
        return {int(Path(entry.name).stem): folder / entry.name for entry in entries if is_frame(entry.name)}


def load_chunk(chunk: Path) -> list[dict[str, Any]]:
    """The entries of a chunk, whose pictures stay on disk until they are looked at.

    Raises:
        UnusableScene: if it is none, or cannot be read without running code in it.
    """
    try:
        entries = torch.load(chunk, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise UnusableScene(
            f"{chunk.name} is damaged, or holds more than numbers and text, which is never run; get a fresh copy."
        ) from error
    except _NO_CHUNK as error:
        raise UnusableScene(f"{chunk.name} is no chunk of pixelSplat: {_first_line(error):.160}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "key" in entry for entry in entries):
        raise UnusableScene(f"{chunk.name} is no chunk of pixelSplat: expected a list of clips with a key.")
    return entries


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def chunk_clip(chunk: Path, index: int) -> TimedClip:
    """One entry of a chunk.

    Raises:
        UnusableScene: if it is damaged; damaged pictures are told when they are asked for.
    """
    entries = load_chunk(chunk)
    entry = entries[index] if index < len(entries) else {}
    times, cameras, images = (entry.get(key) for key in ("timestamps", "cameras", "images"))
    if not (_is_plain(times, 1) and _is_plain(cameras, 2) and isinstance(images, list | tuple)):
        raise UnusableScene(
            f"its entry in {chunk.name} lacks timestamps (a row of numbers), cameras (a table) or images (a list)."
        )
    if cameras.shape != (len(times), _COLUMNS) or len(images) != len(times):
        raise UnusableScene(
            f"its entry in {chunk.name} has {len(times)} times, {len(images)} images, cameras {tuple(cameras.shape)}."
        )
    microseconds = [int(time) for time in times.nan_to_num(-1).tolist()]
    if not all(0 <= time < _LATEST for time in microseconds):
        raise UnusableScene(f"its entry in {chunk.name} has times that are no microseconds of a video.")
    # of equal times, the first counts
    numbers = dict(zip(reversed(microseconds), reversed(cameras.detach().double().numpy()), strict=True))
    pictures = {t: partial(_bytes, image) for t, image in zip(reversed(microseconds), reversed(images), strict=True)}
    return TimedClip(cameras=numbers, pictures=pictures, notes=_notes(chunk.name, [], len(times) - len(numbers)))


def _is_plain(values: object, dimensions: int) -> TypeGuard[Tensor]:
    """Whether these are real numbers that the file holds one by one, so that they take no more memory than the file."""
    return (
        isinstance(values, Tensor)
        and values.layout == torch.strided
        and values.device.type == "cpu"
        and values.dtype in _REAL
        and values.ndim == dimensions
        and values.is_contiguous()
        and values.nbytes <= values.untyped_storage().nbytes()
    )


def _bytes(encoded: object) -> bytes:
    """The encoded picture; `ValueError` for what is no row of bytes."""
    if not _is_plain(encoded, 1) or encoded.dtype != torch.uint8:
        raise ValueError(f"expected a row of bytes (uint8), got {type(encoded).__name__}")
    return encoded.numpy().tobytes()
