"""The index of a set of shards: JSON lines, the first about the shards, then one per clip.

::

    {"format": "gen3r-shards", "version": 1,
     "shards": [{"file": "train-00000.tar", "bytes": 10240, "sha256": "...", "clips": 2}]}
    {"name": "room-1", "shard": 0, "start": 0, "files": [["scene.json", 600], ["frame.jpg", [812, 790]]],
     "record": {...}}

``start`` is the first byte of the clip's first tar header; ``files`` gives sizes in the order of the members, from
which all offsets follow (`members.spans`). ``record`` is scene.json without ``times``, which are many.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gen3r.whole_file import whole_file

FORMAT = "gen3r-shards"
VERSION = 1
INDEX_SUFFIX = "-index.jsonl"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One tar file of a set."""

    file: str
    """Its name, beside the index."""
    bytes: int
    """Its length."""
    sha256: str
    """Of the whole file."""
    clips: int
    """How many it holds."""


def shard_name(prefix: str, number: int) -> str:
    """File name of a shard."""
    return f"{prefix}-{number:05d}.tar"


def index_name(prefix: str) -> str:
    """File name of the index of a set."""
    return f"{prefix}{INDEX_SUFFIX}"


def write_index(path: Path, shards: Iterable[Shard], clips: Iterable[dict[str, Any]]) -> None:
    """Write the index of a set; it appears whole."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        header = {"format": FORMAT, "version": VERSION, "shards": [asdict(shard) for shard in shards]}
        for line in (header, *clips):
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_header(line: bytes, path: Path) -> tuple[Shard, ...]:
    """The shards, from the first line of an index.

    Raises:
        ValueError: naming ``path``, for another format or version, and for anything but names of files beside it.
    """
    header = read_line(line, path)
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise ValueError(
            f"{path} must begin with format {FORMAT!r}, version {VERSION}, got {header.get('format')!r}, "
            f"{header.get('version')!r}; pack the clips again with gen3r data pack."
        )
    try:
        shards = tuple(Shard(**shard) for shard in header["shards"])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} misstates its shards ({error}); pack the clips again with gen3r data pack."
        ) from error
    odd = [shard.file for shard in shards if Path(shard.file).name != shard.file]
    if odd:
        raise ValueError(f"{path} must name files beside it, got {odd[0]!r}.")
    return shards


def read_line(line: bytes, path: Path) -> dict[str, Any]:
    """One line of an index.

    Raises:
        ValueError: naming ``path``, if it is no JSON object.
    """
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); pack the clips again with gen3r data pack.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold JSON objects, got {type(content).__name__}.")
    return content
