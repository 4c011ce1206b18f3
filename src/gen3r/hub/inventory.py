"""Which models are on this machine, whether they are whole, and how to be rid of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from gen3r.hub.cache import RECORD_FILE, cache_folder, discard, read_record, repository_folder, snapshot_folder
from gen3r.hub.entries import MODELS, ModelEntry
from gen3r.hub.fetch import is_complete, lock
from gen3r.hub.plan import chosen_commit
from gen3r.hub.registry import find_entry, needed_companions, present_models, source_of
from gen3r.hub.verify import SAFETENSORS, FileReport, count_tensors, verify_files, verify_folder

Status = Literal["shipped", "complete", "incomplete", "not here", "not released"]


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """A model, and what of it is here."""

    entry: ModelEntry
    """What is known of the model."""
    status: Status
    """Inside the package; downloaded and checked; begun, damaged or without a model it builds on; neither; or nowhere
    yet."""
    folder: Path | None = None
    """Where it lies, or would lie."""
    commit: str | None = None
    """Commit that its name stands for, None if that is not known before a download."""
    bytes_on_disk: int = 0
    """What it takes, without models it builds on."""
    lacking: tuple[str, ...] = ()
    """Models it builds on that are not complete."""


def inventory() -> list[ModelState]:
    """Every registered model, then the repositories that were fetched without being registered."""
    registered = {entry.repository for entry in MODELS.values()}
    records = cache_folder().glob(f"models--*--*/{RECORD_FILE}")
    found = ("/".join(path.parent.name.split("--", 2)[1:]) for path in sorted(records))
    return [*map(state_of, MODELS), *(state_of(name) for name in found if name not in registered)]


def entry_of(name: str) -> ModelEntry:
    """The entry of a registered model, or one for a repository that is not registered.

    Raises:
        ValueError: if the name can be neither.
    """
    entry = find_entry(name)
    if entry is not None:
        return entry
    repository = source_of(name).repository
    return ModelEntry(
        name=repository,
        summary="a repository that gen3r knows nothing about",
        licence="see its page on the hub",
        layout="official",
        repository=repository,
    )


def state_of(name: str) -> ModelState:
    """What of a model, given by its name or repository id, is here.

    Raises:
        ValueError: for a name that is neither.
    """
    entry = entry_of(name)
    if entry.unreleased is not None:
        return ModelState(entry=entry, status="not released")
    if entry.repository is None:
        folder = present_models().get(entry.name)
        if folder is None:
            return ModelState(entry=entry, status="not here")
        return ModelState(entry=entry, status="shipped", folder=folder, bytes_on_disk=bytes_below(folder))
    source, record = source_of(entry.repository), read_record(entry.repository)
    commit = chosen_commit(source, None, record) or next(iter(record.snapshots), None)
    folder = snapshot_folder(entry.repository, commit) if commit is not None else repository_folder(entry.repository)
    complete = commit is not None and is_complete(source, commit, record)
    companions = needed_companions(folder, entry.parts).values() if complete else ()
    lacking = tuple(name for name in companions if state_of(name).status != "complete")
    taken = bytes_below(repository_folder(entry.repository))
    return ModelState(
        entry=entry,
        status="complete" if complete and not lacking else "incomplete" if taken else "not here",
        folder=folder,
        commit=commit,
        bytes_on_disk=taken,
        lacking=lacking,
    )


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder; links count nothing."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)


def verify_model(name: str) -> list[FileReport]:
    """Check every file of a model: hashes for one of the hub, numbers of tensors for a registered one, and headers and
    indices for any folder. Files of the hub that are damaged are deleted, so that the next download fetches them.

    Raises:
        ValueError: if there is nothing to check under this name.
    """
    if find_entry(name) is None and Path(name).is_dir():
        return verify_folder(Path(name))
    state = state_of(name)
    if state.status == "shipped" and state.folder is not None:
        return verify_folder(state.folder)
    repository = state.entry.repository
    files = read_record(repository).snapshots.get(state.commit or "") if repository is not None else None
    if repository is None or state.folder is None or files is None:
        raise ValueError(
            f"expected a downloaded model to verify, but {name} is not here; gen3r models list tells what is."
        )
    with lock(repository):
        reports = verify_files(state.folder, files)
        for report in reports:
            if report.problem is not None and not report.as_published:
                discard(state.folder / report.name)
    return [*reports, *check_manifest(state.entry, state.folder, files)]


def check_manifest(entry: ModelEntry, folder: Path, names: Iterable[str]) -> list[FileReport]:
    """A report for each part of a registered model whose files hold other tensors than the official network has."""
    names, reports = list(names), []
    for part_name, part in entry.parts.items():
        weights = [name for name in names if name.endswith(SAFETENSORS) and any(fnmatch(name, p) for p in part.files)]
        paths = [folder / name for name in weights]
        if part.manifest is None or not paths or not all(path.is_file() for path in paths):
            continue
        expected = (part.manifest.tensors, part.manifest.parameters)
        found = count_tensors(paths, part.manifest.ignored)
        if found != expected:
            problem = f"expected {expected[0]} tensors of {expected[1]} numbers in all, got {found[0]} of {found[1]}"
            size = sum(path.stat().st_size for path in paths)
            reports.append(FileReport(name=part_name, size=size, hashed=False, problem=problem, as_published=True))
    return reports


def remove_model(name: str) -> int:
    """Delete what was downloaded of a model, whole or not: the folder of its repository in huggingface_hub's cache.

    Returns:
        The bytes freed.

    Raises:
        ValueError: if it was not downloaded.
    """
    state = state_of(name)
    repository = state.entry.repository
    if repository is None or not repository_folder(repository).is_dir():
        where = "travels inside the package" if state.status == "shipped" else "is not here"
        raise ValueError(f"expected a downloaded model to remove, but {name} {where}; gen3r models list tells what is.")
    with lock(repository):
        freed = bytes_below(repository_folder(repository))
        shutil.rmtree(repository_folder(repository))
        return freed
