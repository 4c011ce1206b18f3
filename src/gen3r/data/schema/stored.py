"""A clip on disk, of which only what is asked for is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.data.schema.files import ClipFiles, FolderFiles
from gen3r.data.schema.pictures import decode_depth, decode_mask, decode_rgb
from gen3r.data.schema.record import (
    CAMERAS_FILE,
    CAPTION_FILE_OF_1,
    CAPTIONS_FILE,
    DEPTH,
    FRAMES,
    MASKS,
    RECORD_FILE,
    VIDEO_FILE,
    ClipRecord,
)
from gen3r.scene.camera_files import parse_cameras
from gen3r.scene.json_files import parse_json_object


@dataclass(frozen=True)
class StoredClip:
    """One clip of a dataset; cameras, captions and frames are read when asked for, and checked against the record.

    Indices count from 0, in any order, repeated or not. All methods raise `ValueError`, naming the file, for what is
    missing, damaged, or disagrees with the record in number or size.
    """

    files: ClipFiles
    """Where it lies."""
    record: ClipRecord = field(repr=False)
    """What scene.json says."""
    _listed: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, folder: str | Path) -> StoredClip:
        """The clip in a clip folder.

        Raises:
            ValueError: if ``folder`` holds no scene.json that can be read.
        """
        folder = Path(folder)
        path = folder / RECORD_FILE
        if not path.is_file():
            raise ValueError(f"{folder} is not a clip folder: it has no {RECORD_FILE}.")
        files = FolderFiles(folder)
        return cls(files, ClipRecord.from_json(files.read(RECORD_FILE), str(path), name_in_1=folder.name))

    @property
    def name(self) -> str:
        """Of the clip, within its dataset."""
        return self.record.name

    @cached_property
    def cameras(self) -> Cameras:
        """``[F]``, float32, in the world of the scene."""
        where = self._where(CAMERAS_FILE)
        cameras = parse_cameras(parse_json_object(self.files.read(CAMERAS_FILE), where), where)
        size, expected = (len(cameras), cameras.height, cameras.width), self._size
        if size != expected:
            raise ValueError(f"{where} has frames, height, width {size}, but {RECORD_FILE} says {expected}.")
        return cameras

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """Prompts, any one of which describes the clip; may be empty."""
        older = self.files.has(CAPTION_FILE_OF_1) and not self.files.has(CAPTIONS_FILE)
        name = CAPTION_FILE_OF_1 if older else CAPTIONS_FILE
        try:
            lines = self.files.read(name).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{self._where(name)} is not UTF-8 ({error}).") from error
        return tuple(line.strip() for line in lines if line.strip())

    def rgb(self, indices: Sequence[int]) -> UInt8[Tensor, "n H W 3"]:
        """These frames, sRGB 0..255."""
        self._check_indices(indices)
        if self.record.frames_kind == "pictures":
            return torch.from_numpy(self._decode(FRAMES, indices, decode_rgb))
        from gen3r.data.schema.video import read_video_at

        where = self._where(VIDEO_FILE)
        frames = read_video_at(self.files.read(VIDEO_FILE), indices, where)
        self._check_size(where, *frames.shape[1:3])
        return torch.from_numpy(frames)

    def depth(self, indices: Sequence[int]) -> Float32[Tensor, "n H W"] | None:
        """z-depth of these frames at pixel centres, in the unit of the cameras; 0 = no surface. None: there is none."""
        self._check_indices(indices)
        if self.record.depth_scale is None:
            return None
        steps = self._decode(DEPTH, indices, decode_depth)
        return torch.from_numpy((steps.astype(np.float64) * self.record.depth_scale).astype(np.float32))

    def masks(self, indices: Sequence[int]) -> UInt8[Tensor, "n H W"] | None:
        """Masks of these frames, with the meaning ``record.masks``; None if there are none."""
        self._check_indices(indices)
        if self.record.masks is None:
            return None
        return torch.from_numpy(self._decode(MASKS, indices, decode_mask))

    def pictures(self, folder: str) -> tuple[str, ...]:
        """File names of the pictures in "frames", "depth" or "masks", one per frame, in order."""
        if folder not in self._listed:
            names = self.files.pictures(folder)
            if len(names) != self.record.frames:
                raise ValueError(
                    f"{self._where(folder)} holds {len(names)} pictures, but {RECORD_FILE} says {self.record.frames} "
                    "frames."
                )
            self._listed[folder] = names
        return self._listed[folder]

    @property
    def _size(self) -> tuple[int, int, int]:
        return self.record.frames, self.record.height, self.record.width

    def _where(self, name: str) -> str:
        return f"{self.files.place}/{name}"

    def _decode(self, folder: str, indices: Sequence[int], decode: Callable[[bytes, str], np.ndarray]) -> np.ndarray:
        names, decoded = self.pictures(folder), dict[int, np.ndarray]()
        for index in indices:
            if index not in decoded:
                where = self._where(names[index])
                decoded[index] = decode(self.files.read(names[index]), where)
                self._check_size(where, *decoded[index].shape[:2])
        return np.stack([decoded[index] for index in indices])

    def _check_size(self, where: str, height: int, width: int) -> None:
        if (height, width) != self._size[1:]:
            raise ValueError(
                f"{where} is {height}x{width}, but {RECORD_FILE} says {self.record.height}x{self.record.width}."
            )

    def _check_indices(self, indices: Sequence[int]) -> None:
        if not indices or min(indices) < 0 or max(indices) >= self.record.frames:
            raise ValueError(
                f"{self.files.place} has frames 0 to {self.record.frames - 1}, got indices {list(indices)[:8]}."
            )
