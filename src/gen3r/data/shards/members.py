"""How the files of a clip are named in a shard, and where they lie in it.

A clip is a run of members ``<clip name>/clip.<key>``. WebDataset takes everything before the first dot of the last
part as the sample, so each clip is one sample with the keys ``scene.json``, ``cameras.json``, ``captions.txt``,
``frame00000.jpg`` (or ``frames.mp4``), ``depth00000.png``, ``mask00000.png``. Members follow each other without gaps,
each behind one header of 512 bytes and padded to 512, so sizes alone tell where every file begins.

An index may come from anybody, so no other key is accepted: names of files are made here, never taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from gen3r.data.schema.record import CAMERAS_FILE, CAPTIONS_FILE, DEPTH, FRAMES, MASKS, RECORD_FILE, VIDEO_FILE

BLOCK = 512
"""A tar file consists of blocks of this many bytes."""
LONGEST_NAME = 155
"""Characters of a clip's name that fit into one header."""
_KEYS = {FRAMES: "frame", DEPTH: "depth", MASKS: "mask"}
_FOLDERS = {key: folder for folder, key in _KEYS.items()}
_FIXED = frozenset({RECORD_FILE, CAMERAS_FILE, CAPTIONS_FILE, VIDEO_FILE})
_SUFFIX = r"(\.(?:png|jpg|jpeg|webp))"
_PICTURE = re.compile(rf"(frame|depth|mask)([0-9]{{5,9}}){_SUFFIX}")
_RUN = re.compile(rf"(frame|depth|mask){_SUFFIX}")


def member_name(clip: str, key: str) -> str:
    """The name of a file of a clip in the tar file."""
    return f"{clip}/clip.{key}"


def picture_key(folder: str, index: int, suffix: str) -> str:
    """The key of picture ``index`` of "frames", "depth" or "masks"."""
    return f"{_KEYS[folder]}{index:05d}{suffix}"


def file_name(key: str) -> str:
    """The name, in a clip folder, of what a shard knows by this key.

    Raises:
        ValueError: for a key that no file of a clip has.
    """
    if key in _FIXED:
        return key
    picture = _PICTURE.fullmatch(key)
    if picture is None:
        raise ValueError(f"{key!r:.80} is no file of a clip; expected {', '.join(sorted(_FIXED))}, or a picture.")
    return f"{_FOLDERS[picture[1]]}/frame{picture[2]}{picture[3]}"


def on_tape(size: int) -> int:
    """Bytes that a file of ``size`` takes in a tar file, with its header."""
    return BLOCK + -(-size // BLOCK) * BLOCK


def packed_sizes(files: Iterable[tuple[str, int]]) -> list[list[Any]]:
    """(key, size) of every file in order, with runs of pictures of one kind as one entry: ["frame.jpg", [812, 790]]."""
    packed: list[list[Any]] = []
    for kind, run in groupby(files, key=lambda file: _kind(file[0])):
        sizes = [size for _, size in run]
        packed.append([kind, sizes] if _RUN.fullmatch(kind) else [kind, *sizes])
    return packed


def unpacked_sizes(packed: Iterable[Any]) -> Iterator[tuple[str, int]]:
    """(key, size) of every file, from what `packed_sizes` gave.

    Raises:
        ValueError: for keys that no file of a clip has, keys that come twice, and sizes that are no whole numbers.
    """
    counts, seen = dict.fromkeys(_FOLDERS, 0), set[str]()
    for entry in packed:
        if not isinstance(entry, list | tuple) or len(entry) != 2 or not isinstance(entry[0], str):
            raise ValueError(f"expected a key with sizes, got {entry!r:.80}.")
        kind, sizes = entry
        run = _RUN.fullmatch(kind)
        if run is None:
            if kind not in _FIXED or kind in seen:
                raise ValueError(f"{kind!r:.80} is no file of a clip, or comes twice.")
            seen.add(kind)
            yield kind, _size(kind, sizes)
            continue
        if not isinstance(sizes, list | tuple):
            raise ValueError(f"{kind} must have a list of sizes, got {sizes!r:.80}.")
        for size in sizes:
            yield picture_key(_FOLDERS[run[1]], counts[run[1]], run[2]), _size(kind, size)
            counts[run[1]] += 1


def spans(start: int, packed: Iterable[Any]) -> dict[str, tuple[int, int]]:
    """Where each file lies, by its name in a clip folder: (first byte, bytes).

    Args:
        start: first byte of the clip's first header.
        packed: the sizes, see `packed_sizes`.

    Raises:
        ValueError: as `unpacked_sizes`.
    """
    found: dict[str, tuple[int, int]] = {}
    for key, size in unpacked_sizes(packed):
        found[file_name(key)] = (start + BLOCK, size)
        start += on_tape(size)
    return found


def _size(key: str, size: Any) -> int:
    if type(size) is not int or size < 0:
        raise ValueError(f"the size of {key} must be a whole number, at least 0, got {size!r:.80}.")
    return size


def _kind(key: str) -> str:
    picture = _PICTURE.fullmatch(key)
    return f"{picture[1]}{picture[3]}" if picture else key
