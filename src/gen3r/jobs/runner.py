"""`run_jobs`: a unit of work over many items, with a record of what became of each."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from gen3r.extras import Extra
from gen3r.jobs.journal import open_journal, read_journal
from gen3r.jobs.report import RunReport, Tally
from gen3r.jobs.work import JobItem, Outcome, WorkSpec

Backend = Callable[[Sequence[JobItem], WorkSpec, "RunOptions", Path], Generator[Outcome]]
"""Does all items, in any order, and yields the last outcome of each as it comes. The folder is for its notes."""
BackendName = Literal["local", "ray"]

BACKENDS: Mapping[str, str] = MappingProxyType(
    {"local": "gen3r.jobs.local:run_locally", "ray": "gen3r.jobs.cluster:run_on_ray"}
)
"""The function behind each name, imported when it is used."""
EXTRAS: Mapping[str, Extra] = MappingProxyType({"ray": Extra(name="ray", modules=("ray", "pyarrow", "pandas"))})


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where items are done, by how many, and how often they are tried."""

    backend: BackendName = "local"
    """"local": processes of this machine. "ray": a Ray cluster."""
    workers: int = 1
    """Units of work that are open at once. Locally, 0 and 1 do the work in this process."""
    retries: int = 2
    """Attempts after the first one that failed, or whose worker died."""
    address: str | None = None
    """Of the Ray cluster, such as 10.0.0.1:6379 or "auto"; None starts one on this machine for this run."""
    cpus: float = 1.0
    """Processor cores that Ray reserves for each worker."""
    object_store: int = 200_000_000
    """Bytes of shared memory for a Ray cluster that is started here; items and results are small."""

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"expected a backend of {', '.join(BACKENDS)}, got {self.backend!r}.")
        for name, least in (("workers", 0), ("retries", 0), ("cpus", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"expected {name} to be {least} or more, got {getattr(self, name)}.")


def run_jobs(
    items: Iterable[JobItem],
    work: WorkSpec,
    folder: str | Path,
    options: RunOptions | None = None,
    *,
    exists: Callable[[JobItem], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
    ended: Callable[[Outcome], None] | None = None,
) -> RunReport:
    """Do every item that is not done yet; an item that cannot be done does not stop the others.

    The run folder holds journal.jsonl, a line for each item that ended (see `gen3r.jobs.journal`), and report.json. A
    second call with the same folder goes on where the first one ended, however that was; items that failed are tried
    again.

    Args:
        items: what to do, keys distinct.
        work: who does it.
        folder: the run folder, made if need be.
        options: where and by how many.
        exists: whether the output of an item is there. It decides what is left to do; without it, the journal does.
        progress: called with (items ended, items in all).
        ended: called in this process with every outcome, after it is in the journal.

    Raises:
        ValueError: for two items of one key, a folder where another run is at work, and whatever the constructor of
            the unit of work refuses.
        RuntimeError: if workers keep dying before they begin.
    """
    options, folder, items = options or RunOptions(), Path(folder), list(items)
    _check_keys(items)
    with open_journal(folder) as journal:
        recorded = read_journal(folder)
        is_done = exists or (lambda item: item.key in recorded and recorded[item.key].status == "done")
        left = [item for item in items if not is_done(item)]
        skipped, tally = len(items) - len(left), Tally()
        if progress is not None:
            progress(skipped, len(items))
        if left:
            backend = _backend(options.backend)
            with closing(backend(left, work, options, folder)) as outcomes:
                for number, outcome in enumerate(outcomes, start=1):
                    journal.add(outcome)
                    tally.add(outcome)
                    if ended is not None:
                        ended(outcome)
                    if progress is not None:
                        progress(skipped + number, len(items))
        report = tally.report(items=len(items), skipped=skipped)
        report.write(folder)
    return report


def _backend(name: str) -> Backend:
    if name in EXTRAS:
        EXTRAS[name].require(f"the backend {name}")
    module, _, function = BACKENDS[name].partition(":")
    return getattr(importlib.import_module(module), function)


def _check_keys(items: Sequence[JobItem]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.key in seen:
            raise ValueError(f"expected items of distinct keys, got {item.key!r} twice; give each its own.")
        seen.add(item.key)
