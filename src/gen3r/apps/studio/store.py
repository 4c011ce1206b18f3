"""Sessions, uploads and jobs as clients see them. Everything asked for is looked up within one session."""

from __future__ import annotations

import json
import sqlite3
import time

from gen3r.apps.studio.database import Database
from gen3r.apps.studio.errors import (
    NotFinished,
    QueueFull,
    TooLarge,
    UnknownJob,
    UnknownResult,
    UnknownSession,
    UnknownUpload,
)
from gen3r.apps.studio.jobs import Job, JobRequest, Upload, stored_request
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.queue import UNREADABLE

RETRY_SECONDS = 5
USED_EVERY = 60.0
"""Seconds between two notes that a session is in use."""
_JOB = """
SELECT jobs.*, CASE WHEN state = 'queued' THEN
    (SELECT count(*) FROM jobs AS earlier WHERE earlier.state = 'queued' AND earlier.number <= jobs.number)
END AS position FROM jobs
"""


class Store:
    """The clients' side of the studio's file. Sessions are named by their id, never by their key."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self.database = database
        self.limits = limits

    # sessions -------------------------------------------------------------------------------------------------

    def add_session(self, session: str) -> None:
        """Begin a session.

        Raises:
            QueueFull: if there are too many.
        """
        now = time.time()
        with self.database.write() as rows:
            if _count(rows, "SELECT count(*) FROM sessions") >= self.limits.sessions:
                raise QueueFull("there are too many sessions", "try again later", retry_after=3600)
            rows.execute("INSERT INTO sessions (id, created, used) VALUES (?, ?, ?)", (session, now, now))

    def has_session(self, session: str) -> bool:
        """Whether there is a session of this id."""
        with self.database.read() as rows:
            return rows.execute("SELECT 1 FROM sessions WHERE id = ?", (session,)).fetchone() is not None

    def use_session(self, session: str) -> None:
        """Note that a session is in use.

        Raises:
            UnknownSession: if there is none of this id.
        """
        with self.database.read() as rows:
            row = rows.execute("SELECT used FROM sessions WHERE id = ?", (session,)).fetchone()
        if row is None:
            raise UnknownSession("unknown session", "begin a new one")
        now = time.time()
        if now - row["used"] > USED_EVERY:
            with self.database.write() as rows:
                rows.execute("UPDATE sessions SET used = ? WHERE id = ?", (now, session))

    def forget_sessions(self, unused_since: float) -> list[str]:
        """Delete the records of sessions that nobody used since then and that have no unfinished job; their ids."""
        with self.database.write() as rows:
            found = rows.execute(
                "DELETE FROM sessions WHERE used < ? AND id NOT IN "
                "(SELECT session FROM jobs WHERE state IN ('queued', 'running')) RETURNING id",
                (unused_since,),
            ).fetchall()
        return [row["id"] for row in found]

    def forget_empty_sessions(self, unused_since: float) -> None:
        """Delete the records of sessions that nobody used since then and that hold no upload and no job."""
        with self.database.write() as rows:
            rows.execute(
                "DELETE FROM sessions WHERE used < ? "
                "AND id NOT IN (SELECT session FROM jobs) AND id NOT IN (SELECT session FROM uploads)",
                (unused_since,),
            )

    def sessions(self) -> set[str]:
        """Ids of all sessions."""
        with self.database.read() as rows:
            return {row["id"] for row in rows.execute("SELECT id FROM sessions")}

    # uploads --------------------------------------------------------------------------------------------------

    def check_room(self, session: str, size: int = 0) -> None:
        """Raise TooLarge unless the session may keep one more upload of ``size`` bytes."""
        with self.database.read() as rows:
            self._check_room(rows, session, size)

    def add_upload(self, session: str, upload: Upload, suffix: str) -> None:
        """Keep the record of an upload whose file ``<id><suffix>`` is in place.

        Raises:
            TooLarge: if the session may not keep more.
        """
        with self.database.write() as rows:
            self._check_room(rows, session, upload.bytes)
            rows.execute(
                "INSERT INTO uploads (id, session, suffix, record, bytes) VALUES (?, ?, ?, ?, ?)",
                (upload.id, session, suffix, json.dumps(upload.model_dump()), upload.bytes),
            )

    def uploads(self, session: str) -> list[Upload]:
        """Uploads of a session, oldest first."""
        with self.database.read() as rows:
            found = rows.execute("SELECT record FROM uploads WHERE session = ? ORDER BY rowid", (session,)).fetchall()
        return [Upload(**json.loads(row["record"])) for row in found]

    def upload(self, session: str, upload: str) -> tuple[Upload, str]:
        """One upload and the name of its file.

        Raises:
            UnknownUpload: if the session has none of this id.
        """
        with self.database.read() as rows:
            row = rows.execute("SELECT * FROM uploads WHERE session = ? AND id = ?", (session, upload)).fetchone()
        if row is None:
            raise UnknownUpload("unknown upload", "list the uploads of this session")
        return Upload(**json.loads(row["record"])), row["id"] + row["suffix"]

    def remove_upload(self, session: str, upload: str) -> None:
        """Delete the record of an upload that no unfinished job uses.

        Raises:
            NotFinished: if a job still needs it.
        """
        with self.database.write() as rows:
            waiting = rows.execute(
                "SELECT request FROM jobs WHERE session = ? AND state IN ('queued', 'running')", (session,)
            ).fetchall()
            requests = [stored_request(row["request"]) for row in waiting]
            if any(request is not None and upload in request.uploads for request in requests):
                raise NotFinished("a job still needs this upload", "wait for the job, or cancel it")
            rows.execute("DELETE FROM uploads WHERE session = ? AND id = ?", (session, upload))

    def _check_room(self, rows: sqlite3.Connection, session: str, size: int) -> None:
        row = rows.execute(
            "SELECT count(*) AS files, coalesce(sum(bytes), 0) AS bytes FROM uploads WHERE session = ?", (session,)
        ).fetchone()
        if row["files"] >= self.limits.files_per_session:
            raise TooLarge(f"a session keeps at most {self.limits.files_per_session} uploads", "delete some first")
        if row["bytes"] + size > self.limits.session_bytes:
            raise TooLarge(
                f"a session keeps at most {self.limits.session_bytes / 1e6:,.0f} MB of uploads", "delete some first"
            )

    # jobs -----------------------------------------------------------------------------------------------------

    def submit(self, session: str, job: str, request: JobRequest) -> Job:
        """Put a job at the end of the queue.

        Raises:
            QueueFull: if the queue, or this session's share of it, is full.
            UnknownUpload: if it names an upload that the session does not keep.
        """
        with self.database.write() as rows:
            found = rows.execute("SELECT id, record FROM uploads WHERE session = ?", (session,))
            kept = {row["id"]: json.loads(row["record"])["name"] for row in found}
            if not kept.keys() >= set(request.uploads):
                raise UnknownUpload("unknown upload", "list the uploads of this session")
            waiting = _count(rows, "SELECT count(*) FROM jobs WHERE state = 'queued'")
            if waiting >= self.limits.queue:
                raise QueueFull(f"{waiting} jobs are waiting already", "try again later", retry_after=RETRY_SECONDS)
            own = _count(
                rows, "SELECT count(*) FROM jobs WHERE session = ? AND state IN ('queued', 'running')", session
            )
            if own >= self.limits.jobs_per_session:
                raise QueueFull(
                    f"{own} jobs of this session wait or run already",
                    "wait for one of them, or cancel it",
                    retry_after=RETRY_SECONDS,
                )
            rows.execute(
                "INSERT INTO jobs (id, session, state, request, names, message, created) "
                "VALUES (?, ?, 'queued', ?, ?, 'waiting', ?)",
                (
                    job,
                    session,
                    json.dumps(request.model_dump()),
                    json.dumps([kept[upload] for upload in request.uploads]),
                    time.time(),
                ),
            )
        return self.job(session, job)

    def job(self, session: str, job: str) -> Job:
        """One job.

        Raises:
            UnknownJob: if the session has none of this id.
        """
        with self.database.read() as rows:
            row = rows.execute(f"{_JOB} WHERE session = ? AND id = ?", (session, job)).fetchone()
        if row is None:
            raise UnknownJob("unknown job", "list the jobs of this session")
        return _job(row)

    def jobs(self, session: str) -> list[Job]:
        """Jobs of a session, newest first."""
        with self.database.read() as rows:
            found = rows.execute(f"{_JOB} WHERE session = ? ORDER BY number DESC", (session,)).fetchall()
        return [_job(row) for row in found]

    def asked(self, session: str, job: str) -> tuple[JobRequest, list[str]]:
        """What was asked for, and the names of its uploads, which may have been deleted since.

        Raises:
            UnknownJob: if the session has none of this id.
            UnknownResult: if another gen3r stored it.
        """
        with self.database.read() as rows:
            row = rows.execute("SELECT * FROM jobs WHERE session = ? AND id = ?", (session, job)).fetchone()
        if row is None:
            raise UnknownJob("unknown job", "list the jobs of this session")
        request = stored_request(row["request"])
        if request is None:
            raise UnknownResult(UNREADABLE, "ask for the scene again")
        return request, json.loads(row["names"])

    def attempt(self, session: str, job: str) -> int:
        """Number of the attempt that runs, or that finished the job.

        Raises:
            UnknownJob: if the session has none of this id.
        """
        with self.database.read() as rows:
            row = rows.execute("SELECT attempt FROM jobs WHERE session = ? AND id = ?", (session, job)).fetchone()
        if row is None:
            raise UnknownJob("unknown job", "list the jobs of this session")
        return row["attempt"]

    def cancel(self, session: str, job: str) -> Job:
        """Cancel a waiting job at once, and ask the worker of a running one to stop; nothing for one that has ended.

        Raises:
            UnknownJob: if the session has none of this id.
        """
        with self.database.write() as rows:
            rows.execute(
                "UPDATE jobs SET state = 'cancelled', finished = ?, message = 'cancelled' "
                "WHERE session = ? AND id = ? AND state = 'queued'",
                (time.time(), session, job),
            )
            rows.execute(
                "UPDATE jobs SET unwanted = 1, message = 'cancelling' "
                "WHERE session = ? AND id = ? AND state = 'running'",
                (session, job),
            )
        return self.job(session, job)

    def remove_job(self, session: str, job: str) -> bool:
        """Delete the record of a job that has ended; whether there was one."""
        with self.database.write() as rows:
            found = rows.execute(
                "DELETE FROM jobs WHERE session = ? AND id = ? AND state NOT IN ('queued', 'running') RETURNING id",
                (session, job),
            ).fetchall()
        return bool(found)

    def forget_jobs(self) -> list[tuple[str, str]]:
        """Delete the records of ended jobs beyond the newest of each session; their (session, job) ids."""
        with self.database.write() as rows:
            found = rows.execute(
                "DELETE FROM jobs WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER "
                "(PARTITION BY session ORDER BY number DESC) AS place FROM jobs "
                "WHERE state NOT IN ('queued', 'running')) WHERE place > ?) RETURNING session, id",
                (self.limits.history_per_session,),
            ).fetchall()
        return [(row["session"], row["id"]) for row in found]


def _count(rows: sqlite3.Connection, query: str, *values: object) -> int:
    return rows.execute(query, values).fetchone()[0]


def _job(row: sqlite3.Row) -> Job:
    request = stored_request(row["request"])
    return Job(
        id=row["id"],
        state=row["state"],
        done=row["done"],
        total=row["total"],
        eta_seconds=row["eta"],
        queue_position=row["position"],
        message=UNREADABLE if request is None else row["message"],
        has_preview=bool(row["preview"]),
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
        request=request or JobRequest(),
        results=json.loads(row["results"]),
        error=row["error"],
    )
