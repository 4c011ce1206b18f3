"""What to fetch: the files of a repository, their sizes and hashes, and which of them are here already."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi, constants

from gen3r.hub.cache import KnownFile, RepositoryRecord, cache_folder, read_record, repository_folder, snapshot_folder
from gen3r.hub.fetch_errors import ModelFetchError, explained
from gen3r.hub.sizes import in_gigabytes
from gen3r.hub.source import DownloadPlan, Source

FULL_COMMIT = 40
"""Hexadecimal digits of a commit's full name."""


def plan_download(source: Source, revision: str | None = None) -> DownloadPlan:
    """Ask the hub for the files of a repository, their sizes and hashes, and see which are here.

    Raises:
        ModelFetchError: if the hub cannot be asked, or the repository lacks a required file.
    """
    asked = chosen_commit(source, revision, read_record(source.repository)) or revision or "main"
    with explained(source.repository, asked):
        info = HfApi().model_info(
            source.repository, revision=asked, files_metadata=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        )
    commit, files = str(info.sha), {}
    for file in info.siblings or ():
        if not source.wants(file.rfilename):
            continue
        digest = file.lfs.sha256 if file.lfs is not None else file.blob_id
        if not is_inside(file.rfilename):
            raise ModelFetchError(
                f"expected files inside the repository {source.repository}, got {file.rfilename!r} from "
                f"{constants.ENDPOINT}; do not use this repository."
            )
        if file.size is None or digest is None:
            raise ModelFetchError(
                f"expected {constants.ENDPOINT} to state size and hash of {file.rfilename} in {source.repository}, "
                f"got neither; if HF_ENDPOINT names a mirror, use another one."
            )
        files[file.rfilename] = KnownFile(size=file.size, digest=digest)
    if gone := unmatched(source.required, files):
        raise ModelFetchError(
            f"expected {listing(gone)} in {source.repository} at {commit}, found none; name a commit that has it with "
            f"--revision."
        )
    missing = tuple(name for name, file in files.items() if not is_here(source.repository, commit, name, file))
    return DownloadPlan(repository=source.repository, commit=commit, files=files, missing=missing)


def is_inside(name: str) -> bool:
    """Whether a path stays below the folder it is put into."""
    return not PurePosixPath(name).is_absolute() and not {"..", "\\", ":"} & {*PurePosixPath(name).parts, *name}


def is_here(repository: str, commit: str, name: str, file: KnownFile) -> bool:
    """Whether a file of the right size is in the cache, in this snapshot or in another one of the repository."""
    blob = repository_folder(repository) / "blobs" / file.digest
    return has_size(snapshot_folder(repository, commit) / name, file.size) or has_size(blob, file.size)


def check_disk_space(plan: DownloadPlan) -> None:
    """Refuse a download that cannot fit.

    Raises:
        ModelFetchError: naming the bytes needed, the bytes free and the folder.
    """
    free = free_bytes()
    if plan.missing_bytes > free:
        raise ModelFetchError(
            f"{plan.repository} needs {in_gigabytes(plan.missing_bytes)} more, but only {in_gigabytes(free)} are free "
            f"at {constants.HF_HUB_CACHE}; make room (gen3r models list shows what lies there) or set HF_HOME to "
            f"another disk."
        )


def free_bytes() -> int:
    """Free bytes on the disk of huggingface_hub's cache."""
    folder = cache_folder().absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def chosen_commit(source: Source, revision: str | None, record: RepositoryRecord) -> str | None:
    """The commit to use, as far as it is known without asking the hub."""
    if revision is not None:
        return revision if is_commit(revision) else None
    return source.revision or record.pinned


def is_commit(revision: str) -> bool:
    """Whether a revision is the full name of a commit rather than a branch or tag."""
    return len(revision) == FULL_COMMIT and set(revision) <= set("0123456789abcdef")


def has_size(path: Path, size: int) -> bool:
    """Whether there is a file of this size."""
    return path.is_file() and path.stat().st_size == size


def unmatched(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """The patterns that match none of the names."""
    names = list(names)
    return [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in names)]


def listing(names: Iterable[str], most: int = 4) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
