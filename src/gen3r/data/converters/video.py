"""A user's own videos, whose cameras are to be found: a file, or a folder of files; each is a scene."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from natsort import natsorted
from PIL import Image

from gen3r.data.converters.places import check_raw, check_source, clip_name, reason, unusable
from gen3r.data.converters.posed_pictures import pose_estimator, posed_frames
from gen3r.data.converting.raw import ConvertOptions, Findings, Found, Problem, RawScene
from gen3r.scene.video_reader import VIDEO_SUFFIXES, count_frames, read_timed_frames

QUALITY = 95
"""Of the JPEGs that frames become: a video's frames went through a coarser codec already."""


@dataclass(frozen=True)
class Videos:
    """Frames upright, all or so many per second, with the cameras that were found for them."""

    name: str = "video"
    licence: str = "of its owner"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """The file, or the videos in the folder and below."""
        check_source(source)
        pose_estimator(options)
        files = [source] if source.is_file() else _videos(source)
        if not files:
            raise ValueError(f"{source} holds no video ({', '.join(VIDEO_SUFFIXES)}).")
        root = source.parent if source.is_file() else source
        scenes: list[Found] = []
        problems: list[Problem] = []
        for file in files:
            check_raw(file.parent)
            place = file.relative_to(root).as_posix()
            try:
                frames = count_frames(file, rate=options.rate)
            except ValueError as error:
                problems.append(Problem(place=place, reason=reason(root, error)))
                continue
            name = clip_name(root, file.with_suffix(""))
            scenes.append(Found(name=name, place=place, split="train", frames=frames, size=file.stat().st_size))
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Decode once to find the cameras, in a temporary folder, and once more when the frames are asked for."""
        file = source if source.is_file() else source / found.place
        with unusable(source), tempfile.TemporaryDirectory(prefix="gen3r-") as folder:
            pictures: list[Path] = []
            times: list[float | None] = []
            for time, frame in read_timed_frames(file, rate=options.rate):
                pictures.append(Path(folder) / f"frame{len(pictures):05d}.jpg")
                pictures[-1].write_bytes(_jpeg(frame))
                times.append(time)
            again = _Frames(file, options.rate)
            frames, notes = posed_frames(
                pictures, [again.picture(index) for index in range(len(pictures))], times, pose_estimator(options)
            )
        return RawScene(name=found.name, split=found.split, scale_kind="unknown", frames=frames, notes=notes)


class _Frames:
    """A video's frames as pictures; going through it in order decodes it once, one frame in memory."""

    def __init__(self, file: Path, rate: float | None) -> None:
        self.file, self.rate = file, rate
        self._decoding: Iterator[tuple[int, np.ndarray]] = iter(())
        self._next = -1

    def picture(self, index: int) -> Callable[[], bytes]:
        """Frame ``index`` as a JPEG, to be decoded when it is called."""
        return lambda: _jpeg(self._frame(index))

    def _frame(self, wanted: int) -> np.ndarray:
        if not 0 <= self._next <= wanted:
            decoded = read_timed_frames(self.file, rate=self.rate)
            self._decoding, self._next = ((index, frame) for index, (_, frame) in enumerate(decoded)), 0
        for index, frame in self._decoding:
            self._next = index + 1
            if index == wanted:
                return frame
        raise ValueError(f"{self.file} has no frame {wanted} any more; was it changed meanwhile?")


def _jpeg(frame: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(frame).save(encoded, "JPEG", quality=QUALITY, subsampling=0)
    return encoded.getvalue()


def _videos(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES)
    return natsorted(file for file in files if not file.name.startswith("."))


CONVERTER = Videos()
