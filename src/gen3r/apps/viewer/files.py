"""Names for what the viewer saves."""

from __future__ import annotations

from pathlib import Path


def unused_path(folder: Path, name: str) -> Path:
    """`folder / name`, with a number before the suffix if that exists: nothing is overwritten."""
    path = folder / name
    number = 2
    while path.exists():
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
        number += 1
    return path
