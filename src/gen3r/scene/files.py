"""Whether a file can be read at all, told before anything looks inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
"""Known without the library that reads them."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise `ValueError` where the operating system refuses to let `path` be read."""
    try:
        yield
    except PermissionError as error:
        raise ValueError(f"no permission to read {path}; change its permissions or copy it.") from error


def check_file(path: Path) -> None:
    """Raise `ValueError` unless `path` is a readable file of at least one byte."""
    with reading(path):
        if not path.exists():
            raise ValueError(f"{path} does not exist.")
        if not path.is_file():
            raise ValueError(f"{path} is not a file.")
        with path.open("rb") as file:
            empty = not file.read(1)
    if empty:
        raise ValueError(f"{path} is empty (0 bytes).")
