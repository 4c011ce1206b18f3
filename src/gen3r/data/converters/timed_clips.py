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
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gen3r.data.clip import Split
from gen3r.data.converters.pictures import stored_size
from gen3r.data.converters.side_files import as_pose, brief, plain_name
from gen3r.data.converters.timed_files import chunk_clip, is_frame, load_chunk, text_clip
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
LONGEST_GAP = 1.0
"""Seconds between frames that still are neighbours; so long may frames be missing within a clip."""
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
        inside = Path(source.resolve().name)
        scenes: list[Found] = []
        problems = [
            Problem(place=str(path.relative_to(source)), reason="another text file has this name")
            for path in tree.repeated
        ]
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
                    split=split_of_place(inside / place, name),
                    frames=frames.count,
                    size=frames.size,
                )
            )
        unknown = [str(tree.frames[name].folder.relative_to(source)) for name in tree.frames.keys() - tree.texts.keys()]
        problems += [Problem(place=place, reason="it has no text file of cameras") for place in sorted(unknown)]
        for chunk in tree.chunks:
            place = chunk.relative_to(source)
            try:
                keys = [str(entry["key"]) for entry in load_chunk(chunk)]
            except UnusableScene as error:
                problems.append(Problem(place=str(place), reason=str(error)))
                continue
            scenes += [
                Found(name=plain_name(key), place=f"{place}#{index}", split=split_of_place(inside / place, key))
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
        clip = chunk_clip(source / place, int(index)) if is_entry else text_clip(source / text, source / folder)
        times = [time for time in sorted(clip.cameras) if time in clip.pictures]
        if not times:
            raise UnusableScene(f"none of its {len(clip.cameras)} cameras has a frame.")
        notes = [*clip.notes]
        missing = sorted(clip.cameras.keys() - set(times))
        if missing:
            notes.append(f"{len(missing)} cameras without a frame: {brief(missing)}")
        kept = _longest_stretch(times)
        if len(kept) < len(times):
            notes.append(
                f"{len(times) - len(kept)} frames left out: so many are missing that the others are no neighbours"
            )
        if not SPLITS.keys() & {source.resolve().name, *Path(text).parts[:-1]}:
            notes.append(f"there is no official split; it is {found.split} by a hash of its name")
        frames = [_frame(time, clip.cameras[time], clip.pictures[time]) for time in kept]
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
    repeated: tuple[Path, ...]
    """Further text files of a name."""


def _look(source: Path) -> _Tree:
    """Walk the tree once, without going into folders of frames."""
    texts: dict[str, Path] = {}
    frames: dict[str, _Frames] = {}
    chunks: list[Path] = []
    repeated: list[Path] = []
    for path, folders, files in os.walk(source):
        folders.sort()
        is_clip = _CLIP_NAME.fullmatch(Path(path).name)
        timed = [name for name in files if is_frame(name)] if is_clip else []
        if timed:
            folder = Path(path)
            size = len(timed) * (folder / timed[0]).stat().st_size
            frames.setdefault(folder.name, _Frames(folder=folder, count=len(timed), size=size))
            folders.clear()
            continue
        for name in sorted(files):
            stem, suffix = os.path.splitext(name)
            if suffix == ".txt" and _CLIP_NAME.fullmatch(stem):
                if stem in texts:
                    repeated.append(Path(path) / name)
                texts.setdefault(stem, Path(path) / name)
            elif suffix == _CHUNK:
                chunks.append(Path(path) / name)
    return _Tree(texts=texts, frames=frames, chunks=tuple(sorted(chunks)), repeated=tuple(repeated))


def _longest_stretch(times: Sequence[int]) -> Sequence[int]:
    """The most times in a row without a long gap; of the same number, the first."""
    breaks = [index for index in range(1, len(times)) if times[index] - times[index - 1] > LONGEST_GAP * 1e6]
    bounds = pairwise([0, *breaks, len(times)])
    return max((times[start:stop] for start, stop in bounds), key=len)


def _frame(time: int, numbers: Float64[np.ndarray, " 18"], picture: Path | Callable[[], bytes]) -> RawFrame:
    height, width = _size(picture)
    fx, fy, cx, cy = numbers[:4]
    with np.errstate(over="ignore", invalid="ignore"):  # the engine leaves out what is not finite
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
        return stored_size(picture if isinstance(picture, Path) else io.BytesIO(picture()), "it")
    except ValueError:
        return 0, 0


def _inverse(matrix: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    """Not finite where there is none, which the engine leaves out with a note."""
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.full((4, 4), np.nan)
