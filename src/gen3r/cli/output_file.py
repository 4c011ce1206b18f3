"""Single output files: asked for before the work, written whole."""

import os
from pathlib import Path

from gen3r.whole_file import whole_file


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
    with whole_file(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
