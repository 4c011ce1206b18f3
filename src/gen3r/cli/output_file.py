"""Single output files: asked for before the work, written whole."""

import os
import uuid
from pathlib import Path


def check_output_file(out: Path, option: str = "--out") -> None:
    """Raise ValueError unless a file can be written at ``out``: its folder exists and accepts it. Touches nothing."""
    if out.is_dir():
        raise ValueError(f"{option} expects the name of a file, but {out} is a folder; add a file name.")
    parent = out.absolute().parent
    if not parent.is_dir():
        raise ValueError(f"{option} expects a file in an existing folder, but there is no folder {parent}; create it.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ValueError(f"{option} cannot be written: no permission to write in {parent}; choose another place.")


def write_whole(out: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it: a reader sees the old or the new one, never half."""
    temporary = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
