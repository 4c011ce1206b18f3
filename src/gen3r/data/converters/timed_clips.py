"""RealEstate10K and ACID: clips of videos, one text file of cameras each; both have the same form.

::

    [RealEstate10K/]train/0123456789abcdef.txt           the official download: cameras only
    [RealEstate10K/]train/0123456789abcdef/42009.png     frames, as the usual downloaders leave them: .png or .jpg
    train/000000.torch                                   or pixelSplat's chunks, which hold both

The first line of a text file is the URL of the video; every other one holds a time in microseconds, the name of its
frame, then focal lengths and principal point as parts of width and height from the upper left corner, two unused
numbers and a 3x4 world-to-camera matrix row by row, OpenCV axes, of no known scale.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from PIL import Image
from torch import Tensor

from gen3r.data.clip import Split
from gen3r.data.converters.side_files import as_pose, brief, plain_name, read_text
from gen3r.data.converting.raw import (
    ConvertOptions,
    Findings,
    Found,
    Problem,
    RawCamera,
    RawFrame,
    RawScene,
    UnusableScene,
)

SPLITS: Mapping[str, Split] = {"train": "train", "validation": "validation", "test": "held-out"}
"""By the name of the folder."""
_COLUMNS = 18
"""Numbers of a camera, after its time."""
_SUFFIXES = (".png", ".jpg", ".jpeg")
_CHUNK = ".torch"
_CLIP_NAME = re.compile(r"[0-9a-f]{8,64}")
_BESIDE = " + "
"""Between the text file and the folder of frames in ``Found.place``."""


@dataclass(frozen=True, kw_only=True)
class TimedClips:
    """Reads one of the two datasets."""

    name: str
    """Of the dataset."""
    licence: str
    """Of its cameras."""
    title: str
    """In messages."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of every scene."""

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """One scene per text file with frames, or per entry of a chunk.

        Raises:
            ValueError: if there are neither text files nor chunks.
        """
        tree = _look(source)
        scenes: list[Found] = []
        problems: list[Problem] = []
        for name, text in sorted(tree.texts.items()):
            place = text.relative_to(source)
            frames = tree.frames.get(name)
            if frames is None:
                problems.append(Problem(place=str(place), reason="its frames are not there; the video may be gone"))
                continue
            scenes.append(
                Found(
                    name=name,
                    place=f"{place}{_BESIDE}{frames.folder.relative_to(source)}",
                    split=split_of_place(place, name),
                    frames=frames.count,
                    size=frames.size,
                )
            )
        unknown = [str(tree.frames[name].folder.relative_to(source)) for name in tree.frames.keys() - tree.texts.keys()]
        problems += [Problem(place=place, reason="it has no text file of cameras") for place in sorted(unknown)]
        for chunk in tree.chunks:
            place = chunk.relative_to(source)
            try:
                keys = [str(entry["key"]) for entry in _load_chunk(chunk)]
            except UnusableScene as error:
                problems.append(Problem(place=str(place), reason=str(error)))
                continue
            scenes += [
                Found(name=plain_name(key), place=f"{place}#{index}", split=split_of_place(place, key))
                for index, key in enumerate(keys)
            ]
        if not scenes and not problems:
            raise ValueError(
                f"{source} is no {self.title}: expected text files of cameras such as train/0123456789abcdef.txt with "
                "frames in train/0123456789abcdef/, or pixelSplat's chunks train/000000.torch."
            )
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Describe one scene: the cameras that have a frame, in the order of time.

        Raises:
            UnusableScene: if the text file or chunk cannot be read, or no camera has a frame.
        """
        place, is_entry, index = found.place.partition("#")
        text, _, folder = place.partition(_BESIDE)
        clip = _chunk_clip(source / place, int(index)) if is_entry else _text_clip(source / text, source / folder)
        frames = []
        missing = []
        for time, numbers in sorted(clip.cameras.items()):
            picture = clip.pictures.get(time)
            if picture is None:
                missing.append(time)
                continue
            frames.append(_frame(time, numbers, picture))
        notes = [*clip.notes]
        if missing:
            notes.append(f"{len(missing)} cameras without a frame: {brief(missing)}")
        if not SPLITS.keys() & set(Path(text).parts[:-1]):
            notes.append(f"there is no official split; it is {found.split} by a hash of its name")
        if not frames:
            raise UnusableScene(f"none of its {len(clip.cameras)} cameras has a frame.")
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="unknown",
            frames=tuple(frames),
            labels=self.labels,
            notes=tuple(notes),
        )


def split_of_place(place: Path, clip: str) -> Split:
    """The split that the nearest folder of that name says; without one, a tenth is held out by a hash of the name."""
    named: list[Split] = [SPLITS[part] for part in place.parts[:-1] if part in SPLITS]
    if named:
        return named[-1]
    is_tenth = int(hashlib.sha256(clip.encode()).hexdigest(), 16) % 10 == 0
    return "held-out" if is_tenth else "train"


@dataclass(frozen=True, kw_only=True)
class _Frames:
    folder: Path
    count: int
    size: int
    """Bytes, judged by one of them."""


@dataclass(frozen=True, kw_only=True)
class _Tree:
    texts: Mapping[str, Path]
    """Text files by the names of their clips."""
    frames: Mapping[str, _Frames]
    """Folders of frames by their names."""
    chunks: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class _Clip:
    cameras: Mapping[int, Float64[np.ndarray, " 18"]]
    """Numbers by time in microseconds."""
    pictures: Mapping[int, Path | Callable[[], bytes]]
    """Frames by time."""
    notes: tuple[str, ...]


def _look(source: Path) -> _Tree:
    """Walk the tree once, without going into folders of frames."""
    texts: dict[str, Path] = {}
    frames: dict[str, _Frames] = {}
    chunks: list[Path] = []
    for path, folders, files in os.walk(source):
        folders.sort()
        timed = [name for name in files if _is_frame(name)]
        if timed:
            folder = Path(path)
            size = len(timed) * (folder / timed[0]).stat().st_size
            frames.setdefault(folder.name, _Frames(folder=folder, count=len(timed), size=size))
            folders.clear()
            continue
        for name in sorted(files):
            stem, suffix = os.path.splitext(name)
            if suffix == ".txt" and _CLIP_NAME.fullmatch(stem):
                texts.setdefault(stem, Path(path) / name)
            elif suffix == _CHUNK:
                chunks.append(Path(path) / name)
    return _Tree(texts=texts, frames=frames, chunks=tuple(sorted(chunks)))


def _is_frame(name: str) -> bool:
    stem, suffix = os.path.splitext(name)
    return suffix.lower() in _SUFFIXES and stem.isdecimal()


def _text_clip(text: Path, folder: Path) -> _Clip:
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
    return _Clip(cameras=cameras, pictures=_frames_in(folder), notes=_notes(text.name, bad, repeated))


def _notes(name: str, bad: list[int], repeated: int) -> tuple[str, ...]:
    notes = [f"{name}: damaged lines {brief(bad)}"] if bad else []
    return (*notes, *([f"{name}: {repeated} times given twice"] if repeated else []))


def _frames_in(folder: Path) -> dict[int, Path]:
    with os.scandir(folder) as entries:
        return {int(Path(entry.name).stem): folder / entry.name for entry in entries if _is_frame(entry.name)}


def _load_chunk(chunk: Path) -> list[dict[str, Any]]:
    """The entries of a chunk, whose pictures stay on disk until they are looked at."""
    try:
        entries = torch.load(chunk, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise UnusableScene(f"{chunk.name} is no chunk of pixelSplat: {_first_line(error)}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "key" in entry for entry in entries):
        raise UnusableScene(f"{chunk.name} is no chunk of pixelSplat: expected a list of clips with a key.")
    return entries


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _chunk_clip(chunk: Path, index: int) -> _Clip:
    entry = _load_chunk(chunk)[index]
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
    return _Clip(cameras=numbers, pictures=pictures, notes=_notes(chunk.name, [], len(times) - len(numbers)))


def _bytes(encoded: Tensor) -> bytes:
    return encoded.numpy().tobytes()


def _frame(time: int, numbers: Float64[np.ndarray, " 18"], picture: Path | Callable[[], bytes]) -> RawFrame:
    height, width = _size(picture)
    fx, fy, cx, cy = numbers[:4]
    intrinsics = np.array([[fx * width, 0, cx * width], [0, fy * height, cy * height], [0, 0, 1.0]])
    return RawFrame(
        picture=picture,
        camera=RawCamera(
            intrinsics=intrinsics, world_from_camera=_inverse(as_pose(numbers[6:])), height=height, width=width
        ),
        time=time / 1e6,
    )


def _size(picture: Path | Callable[[], bytes]) -> tuple[int, int]:
    """Height and width by the header; 0 for what is no picture, which the engine leaves out with a note."""
    try:
        with Image.open(picture if isinstance(picture, Path) else io.BytesIO(picture())) as opened:
            return opened.height, opened.width
    except (OSError, SyntaxError, ValueError):
        return 0, 0


def _inverse(matrix: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    """Not finite where there is none, which the engine leaves out with a note."""
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.full((4, 4), np.nan)
