"""The two kinds of files that hold timed cameras: text beside folders of frames, and pixelSplat's chunks."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from gen3r.data.converters.side_files import brief, read_text
from gen3r.data.converting.raw import UnusableScene

_COLUMNS = 18
"""Numbers of a camera, after its time."""
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
        if len(values) != _COLUMNS:
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
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise UnusableScene(f"{chunk.name} is no chunk of pixelSplat: {_first_line(error)}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "key" in entry for entry in entries):
        raise UnusableScene(f"{chunk.name} is no chunk of pixelSplat: expected a list of clips with a key.")
    return entries


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def chunk_clip(chunk: Path, index: int) -> TimedClip:
    """One entry of a chunk.

    Raises:
        UnusableScene: if it is damaged.
    """
    entry = load_chunk(chunk)[index]
    try:
        times, cameras, images = entry["timestamps"].tolist(), entry["cameras"].double().numpy(), entry["images"]
    except (KeyError, AttributeError) as error:
        raise UnusableScene(f"its entry in {chunk.name} lacks timestamps, cameras or images ({error}).") from error
    if cameras.shape != (len(times), _COLUMNS) or len(images) != len(times):
        raise UnusableScene(
            f"its entry in {chunk.name} has {len(times)} times, {len(images)} images and cameras {cameras.shape}."
        )
    numbers = dict(zip(reversed(times), reversed(cameras), strict=True))  # of equal times, the first counts
    pictures = {time: partial(_bytes, image) for time, image in zip(reversed(times), reversed(images), strict=True)}
    return TimedClip(cameras=numbers, pictures=pictures, notes=_notes(chunk.name, [], len(times) - len(numbers)))


def _bytes(encoded: Tensor) -> bytes:
    return encoded.numpy().tobytes()
