"""One studio per folder."""

from __future__ import annotations

import sqlite3
from pathlib import Path


class RootLock:
    """Held as long as its process lives, and free again at once when that dies: a lock of SQLite's.

    Raises:
        ValueError: if another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise ValueError(f"another studio uses {path.parent}; stop it or name another --root.") from error

    def release(self) -> None:
        """Let others have it."""
        self._connection.close()
