"""Formats of a scene, made in a process of their own, which may take much memory, and may even crash.

``python -m gen3r.apps.studio.exporting SCENE OUT [--lenient] FORMAT ...``; what it says on stdout is what was wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

REFUSED = 2
NOT_MADE = "NOT_MADE.txt"


def main(arguments: Sequence[str]) -> int:
    """Write the formats into the new folder; the exit code is `REFUSED` for formats that cannot hold the scene."""
    parser = argparse.ArgumentParser(prog="python -m gen3r.apps.studio.exporting")
    parser.add_argument("scene", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--lenient", action="store_true", help=f"name formats that cannot be made in {NOT_MADE}")
    parser.add_argument("formats", nargs="+")
    options = parser.parse_args(arguments)

    from gen3r.scene.export.folder import export_scene

    refused: list[str] = []

    def note(name: str, reason: ValueError) -> None:
        refused.append(f"{name}: {str(reason).replace(str(options.scene), 'the scene')}\n")

    try:
        export_scene(options.scene, options.formats, options.out, refused=note if options.lenient else None)
    except ValueError as error:
        sys.stdout.write(str(error))
        return REFUSED
    if refused:
        (options.out / NOT_MADE).write_text("".join(refused), encoding="utf-8")
    return 0


def _end_with_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    raise SystemExit(main(sys.argv[1:]))
