"""From a repository of the hub to a complete, checked snapshot on this machine.

huggingface_hub carries the bytes: its environment variables choose cache (``HF_HOME``), mirror (``HF_ENDPOINT``), token
(``HF_TOKEN``) and offline mode (``HF_HUB_OFFLINE``), and it goes on where a dropped connection stopped. Around it: the
free disk is looked at first, small files come before large ones so that a repository without all its shards is refused
early, every file is compared with the hash the hub states, and one that differs is deleted before anyone can load it.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import constants, snapshot_download
from huggingface_hub.utils import WeakFileLock, tqdm

from gen3r.hub.cache import (
    KnownFile,
    RepositoryRecord,
    cache_folder,
    cached_files,
    cached_ref,
    discard,
    read_record,
    repository_folder,
    snapshot_folder,
    write_record,
)
from gen3r.hub.fetch_errors import BrokenTransferError, ModelFetchError, explained
from gen3r.hub.files import INDEX_SUFFIX
from gen3r.hub.plan import (
    check_disk_space,
    chosen_commit,
    has_size,
    listing,
    plan_download,
    unmatched,
)
from gen3r.hub.source import DownloadPlan, Source
from gen3r.hub.verify import FileReport, absent_shards, verify_files

RETRY_PAUSES = (1.0, 4.0, 10.0)
"""Seconds to wait before each further attempt at a download that broke off."""

ABANDONED_SECONDS = 3600.0
"""A file that nobody has written to for so long will not be finished."""

WEIGHTS = (".safetensors", ".pth")
"""Endings of the files that are large."""

Result = TypeVar("Result")


class Bar(tqdm):
    """huggingface_hub's progress bar, silent where stderr is no terminal."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"disable": None, **options})


def fetch(
    source: Source,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    announce: Callable[[DownloadPlan], None] | None = None,
    pauses: tuple[float, ...] = RETRY_PAUSES,
) -> Path:
    """The folder with a complete, checked snapshot of a repository, downloaded first where needed.

    A snapshot that is already here is recognised by the sizes of its files, without any network; hashes are compared
    once, after the download. Only one process at a time works on a repository, the others wait and then find it done.

    Args:
        source: what to fetch.
        revision: commit, branch or tag instead of the pinned one.
        local_files_only: never use the network, as ``HF_HUB_OFFLINE=1`` does.
        announce: called with the plan before anything large is fetched.
        pauses: seconds before each further attempt at a transfer that broke off.

    Raises:
        ModelFetchError: saying what is in the way: no network, no such repository, revision or permission, no disk
            space, or files that are not those the hub states.
    """
    offline = local_files_only or constants.HF_HUB_OFFLINE
    record = read_record(source.repository)
    commit = remembered_commit(source, revision, record) if offline else chosen_commit(source, revision, record)
    if commit is not None and is_complete(source, commit, record):
        return snapshot_folder(source.repository, commit)
    if offline:
        return adopt(source, revision)
    with lock(source.repository):
        record = read_record(source.repository)
        commit = chosen_commit(source, revision, record)
        if commit is not None and is_complete(source, commit, record):
            return snapshot_folder(source.repository, commit)
        try:
            plan = with_retries(lambda: plan_download(source, revision), pauses[:1])
        except BrokenTransferError:
            if revision is None and is_adoptable(source, record):
                return adopt(source, revision)
            raise
        if announce is not None:
            announce(plan)
        discard_abandoned(source.repository)
        check_disk_space(plan)
        transfer(plan, [name for name in plan.files if not name.endswith(WEIGHTS)], pauses)
        check_shards(plan)
        transfer(plan, list(plan.files), pauses)
        check_files(plan.repository, plan.commit, plan.files)
        remember(source, revision, plan.commit, plan.files)
        return plan.folder


def is_complete(source: Source, commit: str, record: RepositoryRecord) -> bool:
    """Whether a snapshot was checked once and its files still have their sizes."""
    files = record.snapshots.get(commit)
    if files is None or unmatched(source.required, files):
        return False
    folder = snapshot_folder(source.repository, commit)
    return all(has_size(folder / name, file.size) for name, file in files.items())


def remembered_commit(source: Source, revision: str | None, record: RepositoryRecord) -> str | None:
    """The commit to use without asking the hub: what a branch or tag stood for when it was last fetched."""
    branch = revision or "main"
    chosen = chosen_commit(source, revision, record)
    return chosen or record.branches.get(branch) or cached_ref(source.repository, branch)


def is_adoptable(source: Source, record: RepositoryRecord) -> bool:
    """Whether the cache seems to have what the name of a model stands for, whoever fetched it."""
    commit = remembered_commit(source, None, record)
    files = cached_files(source.repository, commit) if commit is not None else {}
    return bool(files) and not unmatched(source.required, files)


def adopt(source: Source, revision: str | None) -> Path:
    """A snapshot that some other program fetched into the cache, checked against the hashes its blobs are named by.

    Raises:
        ModelFetchError: if there is none, or not all of it.
    """
    record = read_record(source.repository)
    commit = remembered_commit(source, revision, record)
    found = cached_files(source.repository, commit) if commit is not None else {}
    files = {name: file for name, file in found.items() if source.wants(name)}
    known = record.snapshots.get(commit, {}) if commit is not None else {}
    gone = sorted(set(known) - set(files)) or unmatched(source.required, files)
    if commit is None or not files or gone:
        state = f"is not complete in the cache (missing: {listing(gone)})" if files else "is not in the cache"
        raise ModelFetchError(
            f"{source.repository}{'' if revision is None else f' at {revision}'} {state} {constants.HF_HUB_CACHE}, and "
            f"the network is not to be used (HF_HUB_OFFLINE or local_files_only) or not there; download it once with "
            f"a network: gen3r models download {source.repository}"
        )
    files |= known
    check_files(source.repository, commit, files)
    if os.access(repository_folder(source.repository), os.W_OK):
        remember(source, revision, commit, files)
    return snapshot_folder(source.repository, commit)


@contextmanager
def lock(repository: str) -> Iterator[None]:
    """Hold a repository of the cache for this process alone."""
    path = cache_folder() / ".locks" / repository_folder(repository).name / "gen3r.lock"
    with explained(repository):
        path.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(path):
        yield


def discard_abandoned(repository: str) -> None:
    """Delete what killed processes left of files: huggingface_hub starts such a file again under another name."""
    for path in (repository_folder(repository) / "blobs").glob("*.incomplete"):
        if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
            path.unlink(missing_ok=True)


def transfer(plan: DownloadPlan, names: list[str], pauses: tuple[float, ...]) -> None:
    """Fetch files through huggingface_hub, again after a pause where the connection broke; finished files are kept.

    Raises:
        ModelFetchError: once every attempt has failed, or at once where another attempt cannot help.
    """

    def attempt() -> None:
        for name in names:
            discard_leftovers(plan, name)
        with explained(plan.repository, plan.commit):
            snapshot_download(
                plan.repository,
                revision=plan.commit,
                allow_patterns=[glob.escape(name) for name in names],
                tqdm_class=Bar,
            )
        if absent := [name for name in names if not (plan.folder / name).is_file()]:
            raise BrokenTransferError(
                f"{plan.repository} at {plan.commit} did not arrive whole, missing: {listing(absent)}; try again."
            )

    if names:
        with_retries(attempt, pauses)


def discard_leftovers(plan: DownloadPlan, name: str) -> None:
    """Delete what lies in the place of a file but has another size: huggingface_hub would take it for the file."""
    file = plan.files[name]
    for path in (plan.folder / name, repository_folder(plan.repository) / "blobs" / file.digest):
        if not has_size(path, file.size):
            discard(path)


def with_retries(work: Callable[[], Result], pauses: tuple[float, ...]) -> Result:
    """Do some work, again after each pause for as long as it fails in a way that may pass."""
    for pause in pauses:
        try:
            return work()
        except BrokenTransferError:
            time.sleep(pause)
    return work()


def check_shards(plan: DownloadPlan) -> None:
    """Refuse a repository whose indices name shards that it does not have, before the others are fetched.

    Raises:
        ModelFetchError: naming the index and the shards.
    """
    for index in (name for name in plan.files if name.endswith(INDEX_SUFFIX)):
        try:
            gone = absent_shards(plan.folder, index, plan.files)
        except ValueError:
            continue  # damaged on the way or as published: the check of all files tells which
        if gone:
            raise ModelFetchError(
                f"{plan.repository} at {plan.commit} is incomplete: {index} names {listing(gone)}, which the "
                f"repository does not have; name another commit with --revision."
            )


def check_files(repository: str, commit: str, files: Mapping[str, KnownFile]) -> None:
    """Compare a snapshot with what the hub states; files that differ are deleted, to be fetched again next time.

    Raises:
        ModelFetchError: naming every file that is wrong, and how.
    """
    folder = snapshot_folder(repository, commit)
    wrong = [report for report in verify_files(folder, files) if report.problem is not None]
    arrived_wrong = [report for report in wrong if not report.as_published]
    for report in arrived_wrong:
        discard(folder / report.name)
    if arrived_wrong:
        raise ModelFetchError(
            f"{repository} at {commit} arrived damaged and the damaged files were deleted: {problems(arrived_wrong)}. "
            f"Try again: only they will be fetched."
        )
    if wrong:
        raise ModelFetchError(
            f"{repository} at {commit} is damaged as published: {problems(wrong)}; name another commit with --revision."
        )


def remember(source: Source, revision: str | None, commit: str, files: Mapping[str, KnownFile]) -> None:
    """Record a complete snapshot, and its commit as what was asked for, or as the one to stay with if nothing was."""
    record = read_record(source.repository)
    updated = RepositoryRecord(
        pinned=commit if revision is None and source.revision is None else record.pinned,
        branches={**record.branches, **({revision: commit} if revision is not None and revision != commit else {})},
        snapshots={**record.snapshots, commit: dict(files)},
    )
    with explained(source.repository):
        write_record(source.repository, updated)


def problems(reports: Iterable[FileReport]) -> str:
    """The problems of several files in one line."""
    return "; ".join(f"{report.name} ({report.problem})" for report in reports)
