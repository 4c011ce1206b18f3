"""How fast a run was, who did what, and what failed."""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gen3r.jobs.work import Outcome
from gen3r.whole_file import whole_file

REPORT = "report.json"
SHOWN = 10
"""Lines of failures and of workers on the screen; the file has all of them."""


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """What one worker did."""

    items: int
    """Items ended, failed ones included."""
    seconds: float
    """Time spent on them."""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A run in numbers."""

    items: int
    """Items asked for."""
    skipped: int
    """Were done before."""
    done: int
    """Done in this run."""
    failed: dict[str, str]
    """Why each of the others could not be done, by key."""
    retries: int
    """Attempts beyond the first of each item."""
    seconds: float
    """Wall-clock time, with starting workers."""
    items_per_second: float
    """Items done by that time."""
    seconds_per_item: dict[str, float] = field(default_factory=dict)
    """"mean", "median", "p95" and "max" of the items done; empty if there are none."""
    workers: dict[str, WorkerReport] = field(default_factory=dict)
    """By name; one that replaced another has a name of its own."""

    def write(self, folder: Path) -> Path:
        """Write report.json."""
        path = folder / REPORT
        with whole_file(path) as file:
            file.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def lines(self) -> list[str]:
        """The report for a screen."""
        told = [
            f"{self.done} done, {self.skipped} done before, {len(self.failed)} failed, {self.retries} retries in "
            f"{self.seconds:.1f} s: {self.items_per_second:.3g} a second"
        ]
        if self.seconds_per_item:
            told.append("seconds an item: " + ", ".join(f"{k} {v:.3g}" for k, v in self.seconds_per_item.items()))
        rows = [
            f"  {name}: {worker.items} in {worker.seconds:.1f} s busy ({worker.seconds / self.seconds:.0%})"
            for name, worker in self.workers.items()
        ]
        told += _first(rows, "workers")
        if self.failed:
            told.append("failed:")
            told += _first([f"  {key}: {reason}" for key, reason in self.failed.items()], "failures")
        return told


class Tally:
    """Counts outcomes as they come."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.failed: dict[str, str] = {}
        self.retries = 0
        self.times: list[float] = []
        self.workers: dict[str, list[float]] = defaultdict(list)

    def add(self, outcome: Outcome) -> None:
        """Count an item that ended."""
        self.retries += outcome.attempts - 1
        if outcome.worker:
            self.workers[outcome.worker].append(outcome.seconds)
        if outcome.status == "done":
            self.times.append(outcome.seconds)
        else:
            self.failed[outcome.key] = outcome.reasons[-1] if outcome.reasons else "no reason known"

    def report(self, *, items: int, skipped: int) -> RunReport:
        """The numbers so far."""
        seconds = time.perf_counter() - self.started
        spread = {}
        if self.times:
            ordered = sorted(self.times)
            spread = {
                "mean": statistics.fmean(ordered),
                "median": statistics.median(ordered),
                "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
                "max": ordered[-1],
            }
        return RunReport(
            items=items,
            skipped=skipped,
            done=len(self.times),
            failed=dict(self.failed),
            retries=self.retries,
            seconds=seconds,
            items_per_second=len(self.times) / seconds,
            seconds_per_item=spread,
            workers={name: WorkerReport(items=len(times), seconds=sum(times)) for name, times in self.workers.items()},
        )


def _first(rows: list[str], what: str) -> list[str]:
    more = len(rows) - SHOWN
    return rows if more <= 0 else [*rows[:SHOWN], f"  and {more} more {what}, see {REPORT}"]
