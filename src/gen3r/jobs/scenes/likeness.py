"""Perceptual hashes of clips: two that look the same differ in few bits, whatever their seeds and prompts."""

from __future__ import annotations

from collections.abc import Sequence

import imagehash
import numpy as np
from jaxtyping import UInt8, UInt64
from PIL import Image
from torch import Tensor

from gen3r.scene.limits import evenly_spread

FRAMES = 5
"""Of a clip, evenly spread, that are hashed: clips of one photo begin alike and should part later."""


def fingerprint(rgb: UInt8[Tensor, "F H W 3"]) -> list[str]:
    """The perceptual hash (64 bits in hexadecimal, by ImageHash) of each of up to `FRAMES` frames."""
    return [str(imagehash.phash(Image.fromarray(rgb[i].numpy()))) for i in evenly_spread(len(rgb), FRAMES)]


class Fingerprints:
    """Those seen so far."""

    def __init__(self) -> None:
        self._names: dict[int, list[str]] = {}
        self._codes: dict[int, UInt64[np.ndarray, "capacity marks"]] = {}

    def nearest(self, marks: Sequence[str]) -> tuple[str, int] | None:
        """Who of those added is most like this one, and the number of bits by which they differ: in the frame that
        differs most. None if nobody with as many frames was added."""
        names = self._names.get(len(marks))
        if not names:
            return None
        codes = self._codes[len(marks)][: len(names)]
        bits = np.bitwise_count(codes ^ _numbers(marks)).max(axis=1)
        best = int(bits.argmin())
        return names[best], int(bits[best])

    def add(self, name: str, marks: Sequence[str]) -> None:
        """Remember one."""
        names = self._names.setdefault(len(marks), [])
        codes = self._codes.setdefault(len(marks), np.empty((16, len(marks)), dtype=np.uint64))
        if len(names) == len(codes):
            codes = self._codes[len(marks)] = np.concatenate([codes, np.empty_like(codes)])
        codes[len(names)] = _numbers(marks)
        names.append(name)


def _numbers(marks: Sequence[str]) -> UInt64[np.ndarray, " marks"]:
    return np.array([int(mark, 16) for mark in marks], dtype=np.uint64)
