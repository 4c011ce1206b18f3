"""What a command tells the person at the terminal: results on stdout, progress on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def say(line: str = "") -> None:
    """Write one line to stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """Write one line to stderr, which is no result and no warning."""
    sys.stderr.write(line + "\n")


def warn(line: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"gen3r: warning: {' '.join(line.split())}\n")


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
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(label, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


@contextmanager
def working(label: str) -> Iterator[None]:
    """A spinner for work of unknown length. Silent where stderr is not a terminal."""
    from rich.console import Console

    with Console(stderr=True).status(label):
        yield
