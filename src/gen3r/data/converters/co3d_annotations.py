"""The frame annotations of one CO3D category: hundreds of megabytes of JSON, kept small."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gen3r.data.converting.raw import UnusableScene

_CHUNK = 1 << 20
_LARGEST_RECORD = 8 * _CHUNK
_LARGEST_FILE = 16 << 30
"""Characters that are unpacked of one file; those of the dataset have some hundred millions."""
_BETWEEN = " \t\r\n,"
_WINDOW, _MEMORY = 12, 5
"""Of the compressors, one of which is open per sequence: 32 KB each."""


@dataclass(frozen=True, kw_only=True)
class FrameAnnotations:
    """What a frame_annotations.jgz says, by sequence."""

    sequences: Mapping[str, bytes]
    """Compressed JSON: one list of records each."""
    damage: str | None = None
    """Why the file could not be read to its end; its sequences may then lack frames and are not used."""

    def of(self, sequence: str) -> list[dict[str, Any]]:
        """The records of one sequence.

        Raises:
            UnusableScene: if the file is damaged, or has no such sequence.
        """
        if self.damage is not None:
            raise UnusableScene(self.damage)
        if sequence not in self.sequences:
            raise UnusableScene("frame_annotations.jgz has no frame of it.")
        return json.loads(b"[" + zlib.decompress(self.sequences[sequence]) + b"]")


def frame_annotations(path: Path) -> FrameAnnotations:
    """Read a frame_annotations.jgz in one pass without ever holding all of it; the last file is remembered."""
    try:
        stat = path.stat()
    except OSError as error:
        return FrameAnnotations(sequences={}, damage=f"{path.name} cannot be read: {error}.")
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1)
def _read(path: Path, changed: int, size: int) -> FrameAnnotations:
    """``changed`` and ``size`` tell one state of the file from another."""
    packers: dict[str, Any] = {}
    packed: dict[str, list[bytes]] = {}
    try:
        for record, text in _records(path):
            sequence = record["sequence_name"]
            new = sequence not in packers
            if new:
                packers[sequence], packed[sequence] = zlib.compressobj(1, zlib.DEFLATED, _WINDOW, _MEMORY), []
            packed[sequence].append(packers[sequence].compress(text.encode() if new else b"," + text.encode()))
    except (OSError, EOFError, zlib.error, ValueError, RecursionError, KeyError, TypeError) as error:
        return FrameAnnotations(sequences={}, damage=f"{path.name} is damaged ({error!s:.160}); download it again.")
    return FrameAnnotations(
        sequences={name: b"".join([*parts, packers[name].flush()]) for name, parts in packed.items()}
    )


def _records(path: Path) -> Iterator[tuple[Any, str]]:
    """The items of a compressed JSON list and their text, one by one."""
    decoder = json.JSONDecoder()
    with gzip.open(path, "rt", encoding="utf-8") as file:
        text, place, total = file.read(_CHUNK), 0, 0
        if not text.lstrip().startswith("["):
            raise ValueError("it is no JSON list")
        place = text.index("[") + 1
        while True:
            while place < len(text) and text[place] in _BETWEEN:
                place += 1
            try:
                if text[place : place + 1] == "]":
                    return
                record, end = decoder.raw_decode(text, place)
            except ValueError:
                more = file.read(_CHUNK)
                total += len(more)
                if not more or len(text) - place > _LARGEST_RECORD:
                    raise
                if total > _LARGEST_FILE:
                    raise RecursionError("it unpacks to more than any such file") from None
                text, place = text[place:] + more, 0
                continue
            yield record, text[place:end]
            place = end
