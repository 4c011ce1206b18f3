"""One SQLite file: opening it, its tables, and transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BUSY_SECONDS = 30.0
"""How long a transaction waits for another process's."""

_TABLES = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    used REAL NOT NULL
) STRICT;
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
    suffix TEXT NOT NULL,
    record TEXT NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX uploads_of_session ON uploads(session);
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    request TEXT NOT NULL,
    worker TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    unwanted INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    eta REAL,
    message TEXT NOT NULL DEFAULT '',
    preview INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    results TEXT NOT NULL DEFAULT '[]',
    error TEXT,
    CHECK ((worker IS NOT NULL) = (state = 'running'))
) STRICT;
CREATE INDEX jobs_of_session ON jobs(session, number);
CREATE INDEX jobs_by_state ON jobs(state, number);
CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    seen REAL NOT NULL
) STRICT;
"""

_NAMES_OF_UPLOADS = """
ALTER TABLE jobs ADD COLUMN names TEXT NOT NULL DEFAULT '[]';
UPDATE jobs SET names = (
    SELECT json_group_array(coalesce(json_extract(record, '$.name'), 'upload.png'))
    FROM json_each(jobs.request, '$.uploads') AS used LEFT JOIN uploads ON uploads.id = used.value
) WHERE json_valid(request);
"""
_STEPS = (_TABLES, _NAMES_OF_UPLOADS)
"""What makes each version of the file from the one before."""
VERSION = len(_STEPS)


class Database:
    """Transactions on the studio's file, for any number of threads and processes.

    Raises:
        ValueError: for a file of another version, or one that is no database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._keeper = self._connect()  # held so that the write-ahead log is not folded in at every chance
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path} is no database ({error}); move it away or name another --root.") from error
        try:
            self._keeper.execute("PRAGMA journal_mode = WAL")
            self._make_tables()
        except BaseException:
            self._keeper.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._keeper.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees and changes the file alone; all of it happens, or nothing."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one state of the file."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self) -> None:
        with self.write() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise ValueError(
                    f"{self.path} was written by another gen3r (version {version}, expected {VERSION}); name another "
                    "--root, or use that gen3r."
                )
            for step in _STEPS[version:]:
                for statement in step.split(";\n"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
