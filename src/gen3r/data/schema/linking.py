"""Hard links instead of copies, where they are safe."""

from __future__ import annotations

import os
from pathlib import Path


def hard_linked(source: Path, target: Path) -> bool:
    """Make ``target`` another name of the file ``source``, if that is no symlink and the disk allows.

    A symlink may come with a downloaded dataset and lead anywhere: a hard link to where it leads would let who changes
    the new dataset change a file that never was in the old one.

    Returns:
        Whether it was done; if not, copy.
    """
    if source.is_symlink() or not source.is_file():
        return False
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        return False
    return True


def lies_as_named(path: Path) -> bool:
    """Whether no symlink is on the way to ``path``, so that it lies where its name says."""
    return path.resolve() == Path(os.path.abspath(path))
