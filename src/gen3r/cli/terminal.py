"""What a command tells the person at the terminal: results on stdout, progress on stderr.

Of processes that torchrun started together, the first alone tells progress and notes.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def is_heard() -> bool:
    """Whether this process is the one that tells progress: it works alone or is torchrun's first."""
    return os.environ.get("RANK", "0") == "0"


def say(line: str = "") -> None:
    """Write one line to stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """Write one line to stderr, which is no result and no warning."""
    if is_heard():
        sys.stderr.write(line + "\n")


def warn(line: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"gen3r: warning: {' '.join(line.split())}\n")


class _Teller(logging.Handler):
    """Tells what the package logs: warnings as such, the rest as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        warn(line) if record.levelno >= logging.WARNING else note(line)


@contextmanager
def telling_log() -> Iterator[None]:
    """What the package logs is told on stderr meanwhile; nothing of other libraries."""
    logger, teller = logging.getLogger("gen3r"), _Teller()
    level = logger.level
    logger.addHandler(teller)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(teller)


@contextmanager
def progress_bar(label: str) -> Iterator[Advance]:
    """A progress bar with the time left; yields the callback that moves it. Silent where stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not (is_heard() and sys.stderr.isatty())) as bar:
        task = bar.add_task(label, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


@contextmanager
def working(label: str) -> Iterator[None]:
    """A spinner for work of unknown length. Silent where stderr is not a terminal."""
    from rich.console import Console

    with Console(stderr=True, quiet=not is_heard()).status(label):
        yield
