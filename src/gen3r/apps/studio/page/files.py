"""Files of a scene at addresses that the page can load."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from gradio import processing_utils


def address(path: Path, cache: str) -> str:
    """Where the browser finds a file: in gradio's own cache, under the hash of its content, which nobody can guess."""
    return f"gradio_api/file={quote(processing_utils.save_file_to_cache(path, cache))}"
