"""How far long work is and how long it will take, where there is no terminal for a bar: in a log file."""

import sys
import time
from collections.abc import Callable

from gen3r.cli.terminal import note

EVERY_SECONDS = 60.0


class TimeLeft:
    """Called with (done, in all); writes a line to stderr about once a minute, unless that is a terminal."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self.clock = what, clock
        self.began: tuple[float, int] | None = None
        self.told = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Note the progress if it is time to."""
        now = self.clock()
        if self.began is None:
            self.began, self.told = (now, done), now
            return
        started, before = self.began
        if sys.stderr.isatty() or now - self.told < EVERY_SECONDS or done in (before, total):
            return
        self.told = now
        left = (total - done) * (now - started) / (done - before)
        note(f"{done} of {total} {self.what}, about {duration(left)} left")


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes, or seconds."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
