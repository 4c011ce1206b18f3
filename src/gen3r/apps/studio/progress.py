"""What a worker tells about its job while it runs, and how it learns that it should stop."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gen3r.apps.studio.queue import Queue
from gen3r.whole_file import whole_file

REPORT_EVERY = 0.25
"""Seconds between two reports of steps, so that short steps do not keep the disk busy."""
PREVIEW_EVERY = 0.5
"""Seconds between two pictures."""


class Cancelled(Exception):
    """Somebody cancelled the job."""


class Stopping(Exception):
    """The worker has to stop; the job shall be run by another one."""


class Progress:
    """The watcher of one job: writes to the queue, and raises `Cancelled`, `Stopping` or ``NotMine``."""

    def __init__(
        self, queue: Queue, worker: str, job: str, *, picture: Path, stop: threading.Event, tail: float | None
    ) -> None:
        """Args:
        picture: file of the preview.
        stop: set when the worker has to stop.
        tail: seconds that follow the last step, as far as known.
        """
        self.queue, self.worker, self.job = queue, worker, job
        self.picture, self.stop, self.tail = picture, stop, tail
        self.last_step: float | None = None
        """When the last step ended (monotonic seconds); None before there was one."""
        self._first_step: float | None = None
        self._reported = self._pictured = -float("inf")
        self._message, self._done, self._total, self._eta = "starting", 0, 0, None
        self._has_picture = False

    def check(self) -> None:
        """Raise if the job should not go on."""
        if self.stop.is_set():
            raise Stopping
        if not self.queue.is_wanted(self.worker, self.job):
            raise Cancelled

    def phase(self, message: str) -> None:
        """See ``Watcher``."""
        self._message = message
        if self._done and self._done == self._total:
            self._eta = self.tail
        self.check()
        self._report()

    def step(self, done: int, total: int) -> None:
        """See ``Watcher``."""
        now = time.monotonic()
        self.check()
        self._done, self._total, self.last_step = done, total, now
        if self._first_step is None:
            self._first_step = now  # the first step warms up caches and says little about the others
        elif done > 1:
            rest = (total - done) * (now - self._first_step) / (done - 1)
            self._eta = self.tail if done == total else rest + (self.tail or 0.0)
        if done == total:
            self._message = "decoding"
        if done == total or now - self._reported >= REPORT_EVERY:
            self._report()

    def preview(self, picture: UInt8[Tensor, "H W 3"]) -> None:
        """See ``Watcher``."""
        self.check()
        now = time.monotonic()
        if now - self._pictured < PREVIEW_EVERY:
            return
        with whole_file(self.picture) as temporary:
            Image.fromarray(picture.cpu().numpy()).save(temporary, format="PNG", compress_level=1)
        self._has_picture, self._pictured = True, now

    def _report(self) -> None:
        self._reported = time.monotonic()
        self.queue.report(
            self.worker,
            self.job,
            message=self._message,
            done=self._done,
            total=self._total,
            eta=self._eta,
            preview=self._has_picture,
        )
