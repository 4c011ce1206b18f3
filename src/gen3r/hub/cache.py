"""Where fetched repositories lie, and what is known of their files: one small record inside huggingface_hub's cache.

The record, ``gen3r.json`` in the cache folder of a repository, holds the commit a model was pinned to at its first
download, and size and hash of each file per commit, as the hub stated them. It is written once every file has been
checked, so a record always describes a complete snapshot, and it goes with the folder when the model is removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gen3r.hub.files import write_json

RECORD_FILE = "gen3r.json"
RECORD_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """What the hub states about a file."""

    size: int
    """Bytes."""
    digest: str
    """SHA-256 of the content (64 hexadecimal digits), or the SHA-1 that git gives a small file (40)."""


@dataclass(frozen=True, kw_only=True)
class RepositoryRecord:
    """What is remembered of a repository."""

    pinned: str | None = None
    """Commit that the first download without a revision came to."""
    branches: Mapping[str, str] = field(default_factory=dict)
    """Commit that each branch or tag stood for when it was last fetched, for work without a network."""
    snapshots: Mapping[str, Mapping[str, KnownFile]] = field(default_factory=dict)
    """Files of each complete snapshot, by commit and by path in the repository."""


def cache_folder() -> Path:
    """The folder of huggingface_hub's cache, as its environment variables say; it need not exist."""
    from huggingface_hub import constants  # not above: gen3r --help and gen3r doctor answer without it

    return Path(constants.HF_HUB_CACHE).expanduser()


def repository_folder(repository: str) -> Path:
    """The folder of a repository (``owner/name``) in huggingface_hub's cache; it need not exist."""
    return cache_folder() / f"models--{repository.replace('/', '--')}"


def snapshot_folder(repository: str, commit: str) -> Path:
    """The folder with the files of one commit; it need not exist."""
    return repository_folder(repository) / "snapshots" / commit


def read_record(repository: str) -> RepositoryRecord:
    """The record of a repository; an empty one if there is none or it cannot be understood, for then nothing is known
    of the files and they are checked anew."""
    try:
        content = json.loads((repository_folder(repository) / RECORD_FILE).read_text(encoding="utf-8"))
        if content["format"] != RECORD_FORMAT:
            return RepositoryRecord()
        snapshots = {
            commit: {name: KnownFile(size=file["size"], digest=file["digest"]) for name, file in files.items()}
            for commit, files in content["snapshots"].items()
        }
        return RepositoryRecord(pinned=content["pinned"], branches=dict(content["branches"]), snapshots=snapshots)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return RepositoryRecord()


def write_record(repository: str, record: RepositoryRecord) -> None:
    """Write the record of a repository in place of the old one, as a whole."""
    content: dict[str, Any] = {
        "format": RECORD_FORMAT,
        "pinned": record.pinned,
        "branches": dict(record.branches),
        "snapshots": {
            commit: {name: {"size": file.size, "digest": file.digest} for name, file in sorted(files.items())}
            for commit, files in record.snapshots.items()
        },
    }
    write_json(repository_folder(repository) / RECORD_FILE, content)


def cached_ref(repository: str, revision: str) -> str | None:
    """The commit that a branch or tag stood for when huggingface_hub last asked, if it did."""
    path = repository_folder(repository) / "refs" / revision
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def cached_files(repository: str, commit: str) -> dict[str, KnownFile]:
    """Files that lie in a snapshot folder, whoever fetched them.

    huggingface_hub names the blob behind each file by the hash the hub stated; files whose blob has no such name (on
    systems without symbolic links) are left out.
    """
    folder = snapshot_folder(repository, commit)
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.is_symlink():
            digest = Path(os.readlink(path)).name
            if len(digest) in (40, 64) and set(digest) <= set("0123456789abcdef"):
                found[path.relative_to(folder).as_posix()] = KnownFile(size=path.stat().st_size, digest=digest)
    return found


def discard(pointer: Path) -> None:
    """Delete a file of a snapshot with everything it links to, so that the next download fetches it again."""
    while pointer.is_symlink():
        target = pointer.parent / os.readlink(pointer)
        pointer.unlink()
        pointer = target
    pointer.unlink(missing_ok=True)
