"""Whether the inputs of the command line exist; loads nothing."""

from collections.abc import Sequence
from pathlib import Path


def check_paths(paths: Sequence[str]) -> None:
    """Raise ValueError for the first path that does not exist, before anything heavy is loaded."""
    for path in paths:
        if not Path(path).exists():
            raise ValueError(
                f"expected a picture, a video or a folder, but there is nothing at {path}; check the path."
            )
