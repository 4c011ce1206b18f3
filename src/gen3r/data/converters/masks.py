"""Masks that lie beside pictures, one file each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gen3r.data.converting.raw import RawFrame
from gen3r.scene.files import check_file

MaskReader = Callable[[], UInt8[np.ndarray, "H W"]]
_SUFFIX = ".png"


def mask_beside(folder: Path, name: str) -> MaskReader | None:
    """The mask of picture ``name`` in a folder of masks: NAME.png after COLMAP's habit, or the same name as PNG."""
    candidates = (folder / f"{name}{_SUFFIX}", (folder / name).with_suffix(_SUFFIX))
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    return None if file is None else partial(read_mask, file)


def read_mask(path: Path) -> UInt8[np.ndarray, "H W"]:
    """A mask as 0..255; `ValueError` naming the file if it cannot be read."""
    check_file(path)
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            return np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is no readable mask ({error}); get a fresh copy.") from error


def all_or_none(frames: Sequence[RawFrame]) -> tuple[tuple[RawFrame, ...], tuple[str, ...]]:
    """The frames with masks on each or on none, depth likewise; and notes on what was left out for that."""
    notes: list[str] = []
    for name, count in (
        ("masks", sum(frame.mask is not None for frame in frames)),
        ("depth", sum(frame.depth is not None for frame in frames)),
    ):
        if 0 < count < len(frames):
            notes.append(f"{name} left out: only {count} of {len(frames)} frames have it")
            frames = [_WITHOUT[name](frame) for frame in frames]
    return tuple(frames), tuple(notes)


_WITHOUT: Mapping[str, Callable[[RawFrame], RawFrame]] = {
    "masks": lambda frame: dataclasses.replace(frame, mask=None),
    "depth": lambda frame: dataclasses.replace(frame, depth=None),
}
