"""Whether the files of a model are whole: sizes, hashes, safetensors headers and shard indices."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gen3r.hub.cache import KnownFile
from gen3r.hub.files import INDEX_SUFFIX

SAFETENSORS = ".safetensors"
LARGEST_HEADER = 100_000_000
"""Bytes of the longest header that safetensors itself accepts."""


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What was found out about one file."""

    name: str
    """Path in the repository or folder."""
    size: int | None
    """Bytes on disk, None if there is no such file."""
    hashed: bool
    """Whether the content was compared with a known hash."""
    problem: str | None = None
    """What is wrong, or None."""
    as_published: bool = False
    """For a problem: whether size and hash are nevertheless those the hub states, so fetching again cannot mend it."""


def verify_files(folder: Path, known: Mapping[str, KnownFile], *, hashes: bool = True) -> list[FileReport]:
    """Check each known file below ``folder``: it exists, has the stated size and (with ``hashes``) the stated hash,
    safetensors files are as long as their header says, and indices name only files that are known too."""
    return [_verify_known(folder, name, file, known, hashes) for name, file in sorted(known.items())]


def verify_folder(folder: Path) -> list[FileReport]:
    """Check a model folder of which no hashes are known: safetensors headers and shard indices."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [
        FileReport(
            name=name,
            size=(folder / name).stat().st_size,
            hashed=False,
            problem=structural_problem(folder, name, names),
        )
        for name in names
    ]


def _verify_known(folder: Path, name: str, expected: KnownFile, known: Iterable[str], hashes: bool) -> FileReport:
    path = folder / name
    if not path.is_file():
        return FileReport(name=name, size=None, hashed=False, problem="missing")
    size = path.stat().st_size
    if size != expected.size:
        problem = f"expected {expected.size} bytes, got {size}"
        return FileReport(name=name, size=size, hashed=False, problem=problem)
    if hashes and (found := file_digest(path, like=expected.digest)) != expected.digest:
        problem = f"expected the hash {expected.digest}, got {found}"
        return FileReport(name=name, size=size, hashed=True, problem=problem)
    problem = structural_problem(folder, name, known)
    return FileReport(name=name, size=size, hashed=hashes, problem=problem, as_published=problem is not None)


def file_digest(path: Path, *, like: str) -> str:
    """Hash of a file's content, of the kind that ``like`` is: SHA-256, or git's SHA-1 over a header and the content."""
    with path.open("rb") as stream:
        if len(like) == 64:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        while block := stream.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def structural_problem(folder: Path, name: str, names: Iterable[str]) -> str | None:
    """What is wrong inside a safetensors file or an index of shards; None for a good one and for any other file."""
    try:
        if name.endswith(SAFETENSORS):
            read_header(folder / name)
        elif name.endswith(INDEX_SUFFIX) and (gone := absent_shards(folder, name, names)):
            return f"names shards that are not there: {', '.join(gone)}"
    except ValueError as error:
        return str(error)
    return None


def absent_shards(folder: Path, index: str, names: Iterable[str]) -> list[str]:
    """Shards that an index names and ``names`` lacks, as paths like ``names``.

    Raises:
        ValueError: if the index cannot be read as one.
    """
    try:
        shards = set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values())
        paths = {(PurePosixPath(index).parent / shard).as_posix() for shard in shards}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("expected an index with a weight_map, got something else") from None
    return sorted(paths - set(names))


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """Names of the tensors in a safetensors file, each with ``dtype``, ``shape`` and ``data_offsets``.

    Raises:
        ValueError: if there is no such header, or it speaks of another number of bytes than the file has.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, LARGEST_HEADER):
            raise ValueError(f"expected a safetensors file, got {size} bytes that end inside its header")
        try:
            header = json.loads(stream.read(length))
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise ValueError("expected a safetensors file, got a header that cannot be read") from None
    if size != 8 + length + end:
        raise ValueError(f"expected {8 + length + end} bytes by its safetensors header, got {size}")
    return tensors


def count_tensors(paths: Iterable[Path], ignored_prefixes: tuple[str, ...] = ()) -> tuple[int, int]:
    """(tensors, numbers in them) of safetensors files, without those whose name starts with an ignored prefix.

    Raises:
        ValueError: if a file is not a whole safetensors file.
    """
    shapes = [
        entry["shape"]
        for path in paths
        for name, entry in read_header(path).items()
        if not name.startswith(ignored_prefixes)
    ]
    return len(shapes), sum(math.prod(shape) for shape in shapes)
