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
import re
from collections.abc import Callable, Iterable, Mapping
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
        ValueError: naming ``path``, for another format or version, and for shards that are no tar files beside it, with
            whole numbers of bytes and clips.
    """
    header = read_line(line, path)
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise ValueError(
            f"{path} must begin with format {FORMAT!r}, version {VERSION}, got {header.get('format')!r}, "
            f"{header.get('version')!r}; pack the clips again with gen3r data pack."
        )
    stated = header.get("shards")
    if not isinstance(stated, list):
        raise ValueError(
            f"{path} misstates its shards (got {stated!r:.80}); pack the clips again with gen3r data pack."
        )
    return tuple(_shard(values, path) for values in stated)


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


def _shard(values: Any, path: Path) -> Shard:
    names = list(_SHARD_FIELDS)
    if not isinstance(values, dict) or sorted(values) != sorted(names):
        raise ValueError(
            f"{path} misstates its shards (expected {', '.join(names)} of each, got {values!r:.120}); pack the clips "
            "again with gen3r data pack."
        )
    for name, (good, expected) in _SHARD_FIELDS.items():
        if not good(values[name]):
            raise ValueError(
                f"{path} misstates its shards: {name} must be {expected}, got {values[name]!r:.80}; get a fresh copy, "
                "or pack the clips again with gen3r data pack."
            )
    return Shard(**values)


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _whole(value: Any) -> bool:
    return type(value) is int and value >= 0


_SHARD_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "file": (_matches(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*\.tar"), "the name of a tar file beside it"),
    "bytes": (_whole, "a whole number, at least 0"),
    "sha256": (_matches("[0-9a-f]{64}"), "64 hexadecimal digits"),
    "clips": (_whole, "a whole number, at least 0"),
}
