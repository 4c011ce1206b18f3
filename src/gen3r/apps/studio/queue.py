"""The workers' side of the studio's file: who runs which job, how far it is, and what becomes of it.

A job belongs to the worker that claimed it. Whatever a worker writes about a job is refused once the job is no longer
its own, so that a job which was given to another worker can never be ended twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gen3r.apps.studio.database import Database
from gen3r.apps.studio.jobs import FAILED, JobRequest, stored_request

DIED = "the worker died {attempts} times while making this scene; ask for fewer frames or a smaller size"
UNREADABLE = "what was asked for cannot be read: another gen3r wrote it"
_FREE = "worker = NULL, done = 0, total = 0, eta = NULL, preview = 0"


class NotMine(Exception):
    """The job has been given to another worker meanwhile, or taken away."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A job that a worker has to run."""

    job: str
    session: str
    attempt: int
    """1 for the first one; its files go into a folder of this number."""
    request: JobRequest
    files: tuple[str, ...]
    """Names of the uploads' files in the session's folder, in the request's order."""
    names: tuple[str, ...]
    """What the client calls these files."""


class Queue:
    """Claims and reports of workers."""

    def __init__(self, database: Database, attempts: int) -> None:
        self.database = database
        self.attempts = attempts

    # workers --------------------------------------------------------------------------------------------------

    def beat(self, worker: str, pid: int) -> None:
        """Note that a worker lives."""
        with self.database.write() as rows:
            rows.execute(
                "INSERT INTO workers (id, pid, seen) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
                (worker, pid, time.time()),
            )

    # one worker's job -----------------------------------------------------------------------------------------

    def claim(self, worker: str) -> Claim | None:
        """The oldest waiting job, which is this worker's from now on; None if none waits. One whose request cannot be
        read fails."""
        with self.database.read() as rows:
            if rows.execute("SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1").fetchone() is None:
                return None
        with self.database.write() as rows:
            row = rows.execute(
                "UPDATE jobs SET state = 'running', worker = ?, attempt = attempt + 1, message = 'starting', "
                "started = ? WHERE number = (SELECT min(number) FROM jobs WHERE state = 'queued') RETURNING *",
                (worker, time.time()),
            ).fetchone()
            if row is None:
                return None
            request = stored_request(row["request"])
            uploads = {
                upload["id"]: upload
                for upload in rows.execute("SELECT * FROM uploads WHERE session = ?", (row["session"],))
            }
        if request is None:
            self.finish(worker, row["id"], FAILED, error=UNREADABLE)
            return self.claim(worker)
        chosen = [uploads[upload] for upload in request.uploads]
        return Claim(
            job=row["id"],
            session=row["session"],
            attempt=row["attempt"],
            request=request,
            files=tuple(upload["id"] + upload["suffix"] for upload in chosen),
            names=tuple(json.loads(row["names"])),
        )

    def report(
        self,
        worker: str,
        job: str,
        *,
        message: str,
        done: int = 0,
        total: int = 0,
        eta: float | None = None,
        preview: bool = False,
    ) -> None:
        """Note how far the job is.

        Raises:
            NotMine: if the job is this worker's no longer.
        """
        with self.database.write() as rows:
            found = rows.execute(
                "UPDATE jobs SET message = iif(unwanted, message, ?), done = ?, total = ?, eta = ?, "
                "preview = max(preview, ?) WHERE id = ? AND worker = ? RETURNING id",
                (message, done, total, eta, int(preview), job, worker),
            ).fetchall()
        if not found:
            raise NotMine(job)

    def is_wanted(self, worker: str, job: str) -> bool:
        """Whether nobody has cancelled the job.

        Raises:
            NotMine: if the job is this worker's no longer.
        """
        with self.database.read() as rows:
            row = rows.execute("SELECT unwanted FROM jobs WHERE id = ? AND worker = ?", (job, worker)).fetchone()
        if row is None:
            raise NotMine(job)
        return not row["unwanted"]

    def finish(
        self, worker: str, job: str, state: str, *, error: str | None = None, results: Sequence[str] = ()
    ) -> None:
        """End the job: done with its results, failed with an error, or cancelled.

        Raises:
            NotMine: if the job is this worker's no longer.
        """
        with self.database.write() as rows:
            found = rows.execute(
                "UPDATE jobs SET state = ?, worker = NULL, eta = NULL, finished = ?, message = ?, error = ?, "
                "results = ? WHERE id = ? AND worker = ? RETURNING id",
                (state, time.time(), state, error, json.dumps(list(results)), job, worker),
            ).fetchall()
        if not found:
            raise NotMine(job)

    def give_back(self, worker: str) -> None:
        """Put the jobs of a worker that stops in good order back into their places in the queue."""
        with self.database.write() as rows:
            rows.execute(
                f"UPDATE jobs SET state = 'queued', {_FREE}, started = NULL, attempt = attempt - 1, "
                "message = 'waiting' WHERE worker = ? AND NOT unwanted",
                (worker,),
            )
        self.release(worker)

    # jobs whose worker is gone --------------------------------------------------------------------------------

    def release(self, worker: str) -> int:
        """Take the jobs from a worker that is gone; the number of jobs. See `release_all`."""
        with self.database.write() as rows:
            rows.execute("DELETE FROM workers WHERE id = ?", (worker,))
        return self._release("worker = ?", worker)

    def release_all(self) -> int:
        """Take every running job from its worker: those that have been begun often enough fail, unwanted ones are
        cancelled, the others wait again, in their old places. The number of jobs."""
        with self.database.write() as rows:
            rows.execute("DELETE FROM workers")
        return self._release("worker IS NOT NULL")

    def release_silent(self, since: float) -> int:
        """Take the jobs from workers that nobody has heard of since then; the number of jobs."""
        return self._release("worker NOT IN (SELECT id FROM workers WHERE seen >= ?)", since)

    def silent(self, since: float) -> list[str]:
        """Workers that nobody has heard of since then."""
        with self.database.read() as rows:
            return [row["id"] for row in rows.execute("SELECT id FROM workers WHERE seen < ?", (since,)).fetchall()]

    def overdue(self, begun_before: float) -> list[tuple[str, str]]:
        """(worker, job) of all jobs that have been running since before then."""
        with self.database.read() as rows:
            found = rows.execute("SELECT worker, id FROM jobs WHERE worker NOT NULL AND started < ?", (begun_before,))
            return [(row["worker"], row["id"]) for row in found.fetchall()]

    def _release(self, whose: str, *values: object) -> int:
        with self.database.write() as rows:
            return rows.execute(
                "UPDATE jobs SET "
                "state = CASE WHEN unwanted THEN 'cancelled' WHEN attempt >= ? THEN 'failed' ELSE 'queued' END, "
                "message = CASE WHEN unwanted THEN 'cancelled' WHEN attempt >= ? THEN 'failed' ELSE 'waiting' END, "
                "error = CASE WHEN NOT unwanted AND attempt >= ? THEN ? END, "
                "finished = CASE WHEN unwanted OR attempt >= ? THEN ? END, "
                "started = CASE WHEN unwanted OR attempt >= ? THEN started END, "
                f"{_FREE} WHERE state = 'running' AND {whose}",
                (
                    self.attempts,
                    self.attempts,
                    self.attempts,
                    DIED.format(attempts=self.attempts),
                    self.attempts,
                    time.time(),
                    self.attempts,
                    *values,
                ),
            ).rowcount
