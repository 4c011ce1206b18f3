"""How the files of a clip are named in a shard, and where they lie in it.

A clip is a run of members ``<clip name>/clip.<key>``. WebDataset takes everything before the first dot of the last
part as the sample, so each clip is one sample with the keys ``scene.json``, ``cameras.json``, ``captions.txt``,
``frame00000.jpg`` (or ``frames.mp4``), ``depth00000.png``, ``mask00000.png``. Members follow each other without gaps,
each behind one header of 512 bytes and padded to 512, so sizes alone tell where every file begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from gen3r.data.schema.record import DEPTH, FRAMES, MASKS

BLOCK = 512
"""A tar file consists of blocks of this many bytes."""
LONGEST_NAME = 155
"""Characters of a clip's name that fit into one header."""
_KEYS = {FRAMES: "frame", DEPTH: "depth", MASKS: "mask"}
_FOLDERS = {key: folder for folder, key in _KEYS.items()}
_PICTURE = re.compile(r"(frame|depth|mask)(\d{5,})(\.[a-z]+)")


def member_name(clip: str, key: str) -> str:
    """The name of a file of a clip in the tar file."""
    return f"{clip}/clip.{key}"


def picture_key(folder: str, index: int, suffix: str) -> str:
    """The key of picture ``index`` of "frames", "depth" or "masks"."""
    return f"{_KEYS[folder]}{index:05d}{suffix}"


def file_name(key: str) -> str:
    """The name, in a clip folder, of what a shard knows by this key."""
    picture = _PICTURE.fullmatch(key)
    if picture is None:
        return key
    return f"{_FOLDERS[picture[1]]}/frame{picture[2]}{picture[3]}"


def on_tape(size: int) -> int:
    """Bytes that a file of ``size`` takes in a tar file, with its header."""
    return BLOCK + -(-size // BLOCK) * BLOCK


def packed_sizes(files: Iterable[tuple[str, int]]) -> list[list[Any]]:
    """(key, size) of every file in order, with runs of pictures of one kind as one entry: ["frame.jpg", [812, 790]]."""
    packed: list[list[Any]] = []
    for kind, run in groupby(files, key=lambda file: _kind(file[0])):
        sizes = [size for _, size in run]
        packed.append([kind, sizes] if _is_run(kind) else [kind, *sizes])
    return packed


def unpacked_sizes(packed: Iterable[Any]) -> Iterator[tuple[str, int]]:
    """(key, size) of every file, from what `packed_sizes` gave."""
    counts = dict.fromkeys(_FOLDERS, 0)
    for kind, sizes in packed:
        if not _is_run(kind):
            yield kind, sizes
            continue
        part, suffix = kind.split(".")
        for size in sizes:
            yield picture_key(_FOLDERS[part], counts[part], f".{suffix}"), size
            counts[part] += 1


def spans(start: int, packed: Iterable[Any]) -> dict[str, tuple[int, int]]:
    """Where each file lies, by its name in a clip folder: (first byte, bytes).

    Args:
        start: first byte of the clip's first header.
        packed: the sizes, see `packed_sizes`.
    """
    found: dict[str, tuple[int, int]] = {}
    for key, size in unpacked_sizes(packed):
        found[file_name(key)] = (start + BLOCK, size)
        start += on_tape(size)
    return found


def _kind(key: str) -> str:
    picture = _PICTURE.fullmatch(key)
    return f"{picture[1]}{picture[3]}" if picture else key


def _is_run(kind: str) -> bool:
    return kind.split(".")[0] in _FOLDERS
