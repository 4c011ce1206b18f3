"""Hidden folders that a process left when it was killed while it wrote a clip."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_STAGING = re.compile(r"\.(.+)\.partial-[a-z0-9_]{8}")
"""As `gen3r.scene.export.output_folder.whole_folder` names what it fills: mkdtemp adds eight characters."""


class Leftovers:
    """What earlier runs left beside the folders that are about to be written.

    Every parent is listed once, so that many clips cost no more than one. Only who writes a folder alone may remove
    what is left of it: a unit of work, whose items no other worker has at the same time.
    """

    def __init__(self) -> None:
        self._found: dict[Path, dict[str, list[Path]]] = {}

    def remove(self, folder: Path) -> None:
        """Remove unfinished ones of ``folder``."""
        for path in self._of(folder.parent).pop(folder.name, ()):
            shutil.rmtree(path, ignore_errors=True)

    def _of(self, parent: Path) -> dict[str, list[Path]]:
        if parent not in self._found:
            found = self._found[parent] = {}
            for path in parent.iterdir() if parent.is_dir() else ():
                name = _STAGING.fullmatch(path.name)
                if name is not None and path.is_dir() and not path.is_symlink():
                    found.setdefault(name[1], []).append(path)
        return self._found[parent]
