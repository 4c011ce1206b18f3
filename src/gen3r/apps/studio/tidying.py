"""Deleting what nobody needs any more."""

from __future__ import annotations

import shutil
import time

from gen3r.apps.studio.archive import UNFINISHED
from gen3r.apps.studio.folders import ARCHIVES, Folders
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.store import Store

DAY = 86_400.0


def tidy(store: Store, folders: Folders, limits: Limits) -> None:
    """Delete sessions that were not used for long, the oldest of too many jobs, and files that nothing owns."""
    store.forget_sessions(time.time() - limits.kept_days * DAY)
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
