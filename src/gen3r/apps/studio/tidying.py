"""Deleting what nobody needs any more."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from gen3r.apps.studio.archive import UNFINISHED
from gen3r.apps.studio.folders import ARCHIVES, Folders
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.store import Store

DAY = 86_400.0
EMPTY_SECONDS = 3600.0
"""After its last use that a session without uploads and jobs is deleted."""


def tidy(store: Store, folders: Folders, limits: Limits) -> None:
    """Delete sessions that were not used for long, the oldest of too many jobs, and files that nothing owns."""
    for file in files_below(folders.page):
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > DAY:
                file.unlink()
    store.forget_sessions(time.time() - limits.kept_days * DAY)
    store.forget_empty_sessions(time.time() - EMPTY_SECONDS)
    for session, job in store.forget_jobs():
        shutil.rmtree(folders.job(session, job), ignore_errors=True)
    for pattern in ("*/uploads/.*.partial", f"*/jobs/*/*/{ARCHIVES}/{UNFINISHED}*"):
        for rest in folders.sessions.glob(pattern):  # what a killed studio left unfinished
            if time.time() - rest.stat().st_mtime > DAY:
                shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
    before = [path for path in folders.sessions.glob("*") if path.is_dir()]
    known = store.sessions()  # after the folders: a session has its record before its folder
    for folder in before:
        if folder.name not in known:
            shutil.rmtree(folder, ignore_errors=True)


def files_below(folder: Path) -> list[Path]:
    """All files of a folder, at any depth; none if it is not there."""
    return [path for path in folder.rglob("*") if path.is_file()]


def bytes_below(folder: Path) -> int:
    """Size of all files of a folder, while others write and delete them."""
    total = 0
    for file in files_below(folder):
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total
