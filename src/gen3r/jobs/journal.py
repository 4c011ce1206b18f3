"""The record of a run: a line of JSON for every item that ended, on disk before the next one is told."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from gen3r.jobs.work import Outcome

JOURNAL = "journal.jsonl"
LOCK = ".lock"


class Journal:
    """Appends outcomes to ``journal.jsonl``. Open one with `open_journal`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, outcome: Outcome) -> None:
        """Append an outcome; it survives whatever happens after this returned."""
        line = json.dumps({"time": round(time.time(), 3)} | asdict(outcome), ensure_ascii=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """The journal of a run folder, for one process at a time.

    Half a line that a killed process left is cut off.

    Raises:
        ValueError: if another process is at work in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"another process is at work in {folder}; wait for its end, or name another folder.") from None
    try:
        path = folder / JOURNAL
        if path.exists():
            whole = path.read_bytes().rpartition(b"\n")
            os.truncate(path, len(whole[0]) + len(whole[1]))
        with path.open("ab") as file:
            yield Journal(file)
    finally:
        lock.release()


def read_journal(folder: Path) -> dict[str, Outcome]:
    """The last outcome of every item, by key; empty without a journal. A last line without end is left out.

    Raises:
        ValueError: naming the line that is no outcome.
    """
    path = folder / JOURNAL
    if not path.exists():
        return {}
    outcomes: dict[str, Outcome] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        outcome = _outcome(line, f"{path}, line {number}")
        outcomes[outcome.key] = outcome
    return outcomes


def _outcome(line: bytes, where: str) -> Outcome:
    try:
        content: Any = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where} is not valid JSON ({error}); delete the line.") from error
    if not isinstance(content, dict) or not isinstance(content.get("key"), str) or "status" not in content:
        raise ValueError(f"{where} is no outcome of an item; delete the line.")
    return Outcome.from_record(content)
