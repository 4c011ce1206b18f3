"""Where files come from, and what a download of them will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from gen3r.hub.cache import KnownFile, snapshot_folder


@dataclass(frozen=True, kw_only=True)
class Source:
    """What to fetch from where."""

    repository: str
    """``owner/name`` on the hub."""
    wanted: tuple[str, ...]
    """Patterns of the files to fetch; a star also matches slashes."""
    required: tuple[str, ...] = ()
    """Patterns each of which has to match a file, or the repository is not what was expected."""
    revision: str | None = None
    """Commit everyone gets; None for the newest at the first download, which is then remembered."""

    def wants(self, name: str) -> bool:
        """Whether the file of this path is among those to fetch."""
        return any(fnmatch(name, pattern) for pattern in self.wanted)


@dataclass(frozen=True, kw_only=True)
class DownloadPlan:
    """What a download will fetch, known before it begins."""

    repository: str
    """``owner/name`` on the hub."""
    commit: str
    """Commit whose files these are."""
    files: Mapping[str, KnownFile]
    """Every file of the snapshot, fetched already or not."""
    missing: tuple[str, ...]
    """Those to be fetched."""

    @property
    def folder(self) -> Path:
        """Where the files will lie."""
        return snapshot_folder(self.repository, self.commit)

    @property
    def missing_bytes(self) -> int:
        """Bytes to be fetched; files of equal content count once."""
        return sum({self.files[name].digest: self.files[name].size for name in self.missing}.values())

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole snapshot; files of equal content count once."""
        return sum({file.digest: file.size for file in self.files.values()}.values())
