"""The worker processes of a studio: started, watched, replaced when they die, and never outliving it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gen3r.apps.studio.jobs import FAILED
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.queue import NotMine, Queue

logger = logging.getLogger("gen3r.studio")

WATCH_SECONDS = 0.1
SILENT_SECONDS = 60.0
"""A worker that is not heard of for so long hangs."""
HEALTHY_SECONDS = 10.0
"""A worker that lived so long may be replaced at once; one that dies sooner is replaced after a growing pause."""
LONGEST_PAUSE = 30.0
STOP_SECONDS = 5.0
AFTER_ERROR_SECONDS = 1.0
"""Before the watcher looks again after something failed, such as a write to a full disk."""


@dataclass
class Slot:
    """Place of one worker process."""

    number: int
    name: str = ""
    process: subprocess.Popen[bytes] | None = None
    begun: float = 0.0
    deaths: int = 0
    """Early deaths in a row."""
    not_before: float = 0.0
    """When the next process may be started."""


class Pool:
    """``workers`` processes that run jobs of the queue."""

    def __init__(
        self,
        root: Path,
        queue: Queue,
        limits: Limits,
        models: Mapping[str, str],
        *,
        workers: int,
        device: str,
        healthy_seconds: float = HEALTHY_SECONDS,
    ) -> None:
        self.root, self.queue, self.limits = root, queue, limits
        self.models, self.device, self.healthy_seconds = dict(models), device, healthy_seconds
        self.slots = [Slot(number=number + 1) for number in range(workers)]
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="gen3r-studio-pool", daemon=True)

    @property
    def alive(self) -> int:
        """Workers that run; of those that keep dying early, only such as have lived for a while now."""
        if not self._watcher.is_alive():  # nobody would replace those that die
            return 0
        old = time.monotonic() - self.healthy_seconds
        processes = [slot.process for slot in self.slots if slot.deaths < 2 or slot.begun < old]
        return sum(process is not None and process.poll() is None for process in processes)

    def start(self) -> None:
        """Put jobs of a studio that died back into the queue, and start the workers."""
        released = self.queue.release_all()
        if released:
            logger.warning("%d jobs were running when the studio ended; they wait again", released)
        for slot in self.slots:
            self._start(slot)
        self._watcher.start()

    def close(self) -> None:
        """Stop the workers; their jobs wait for the next start."""
        self._over.set()
        if self._watcher.is_alive():
            self._watcher.join()
        running = [slot.process for slot in self.slots if slot.process is not None]
        for process in running:
            if process.stdin is not None:
                process.stdin.close()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for slot in self.slots:
            self.queue.give_back(slot.name)

    def _start(self, slot: Slot) -> None:
        slot.name, slot.begun = uuid.uuid4().hex, time.monotonic()
        options = {
            "--models": json.dumps(self.models),
            "--name": slot.name,
            "--log": f"worker{slot.number}",
            "--device": self.device,
            "--attempts": str(self.limits.attempts),
        }
        command = [sys.executable, "-m", "gen3r.apps.studio.worker", str(self.root)]
        # A session of its own: Ctrl-C at the terminal is the studio's to handle.
        slot.process = subprocess.Popen(
            [*command, *(word for pair in options.items() for word in pair)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _watch(self) -> None:
        swept = time.monotonic()
        while not self._over.wait(WATCH_SECONDS):
            for slot in self.slots:
                self._try(lambda slot=slot: self._tend(slot))
            if time.monotonic() - swept > SILENT_SECONDS / 10:
                self._try(self._sweep)
                swept = time.monotonic()

    def _try(self, act: Callable[[], None]) -> None:
        """What fails is done again at the next look, so that the watcher outlives a full disk or a busy machine."""
        try:
            act()
        except Exception:
            logger.exception("watching the workers failed; trying again")
            self._over.wait(AFTER_ERROR_SECONDS)

    def _tend(self, slot: Slot) -> None:
        now = time.monotonic()
        if slot.process is None:
            if now >= slot.not_before:
                self._start(slot)
        elif slot.process.poll() is not None:
            self._bury(slot, now)

    def _bury(self, slot: Slot, now: float) -> None:
        assert slot.process is not None
        released = self.queue.release(slot.name)
        logger.warning(
            "worker %d died (code %s); jobs taken from it: %d", slot.number, slot.process.returncode, released
        )
        if slot.process.stdin is not None:
            slot.process.stdin.close()
        slot.deaths = 0 if now - slot.begun > self.healthy_seconds else slot.deaths + 1
        pause = min(LONGEST_PAUSE, 0.5 * 2.0 ** (slot.deaths - 1)) if slot.deaths > 1 else 0.0
        slot.process, slot.not_before = None, now + pause
        if not pause:
            self._start(slot)

    def _sweep(self) -> None:
        """End what hangs: jobs without a sign of life from their worker, and jobs that take too long."""
        now = time.time()
        for worker, job in self.queue.overdue(now - self.limits.job_seconds):
            self._end_overdue(worker, job)
        for worker in self.queue.silent(now - SILENT_SECONDS):
            self._kill(worker)
        self.queue.release_silent(now - SILENT_SECONDS)

    def _end_overdue(self, worker: str, job: str) -> None:
        hours = self.limits.job_seconds / 3600
        with suppress(NotMine):  # it has just ended by itself
            self.queue.finish(worker, job, FAILED, error=f"it took longer than {hours:g} hours; ask for less")
            self._kill(worker)

    def _kill(self, worker: str) -> None:
        for slot in self.slots:
            if slot.name == worker and slot.process is not None:
                slot.process.kill()
