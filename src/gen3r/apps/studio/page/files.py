"""Files on their way to and from the page: in gradio's own cache, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gradio import processing_utils


def address(path: Path, cache: str) -> str:
    """Where the browser finds a file: in gradio's own cache, under the hash of its content, which nobody can guess."""
    return f"gradio_api/file={quote(processing_utils.save_file_to_cache(path, cache))}"


@contextmanager
def arrived(files: Any, cache: str) -> Iterator[list[Path]]:
    """Files that the browser has just uploaded, gone afterwards: the studio has its own copies.

    Args:
        files: as gradio's component of files sends them, without its own preparation, which leaves an empty file each.
        cache: gradio's; a file elsewhere is left alone, whoever named it.
    """
    home = Path(cache).resolve()
    named = [Path(file["path"]).resolve() for file in files or []]
    inside = [path for path in named if path.is_relative_to(home) and path.is_file()]
    try:
        yield inside
    finally:
        for path in inside:
            path.unlink(missing_ok=True)
