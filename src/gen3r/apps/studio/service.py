"""The studio itself: what the HTTP API and the page in the browser have in common."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gen3r.apps.studio.archive import ALL, chosen_formats, is_here, make_archive
from gen3r.apps.studio.checks import check_request, with_model
from gen3r.apps.studio.database import Database
from gen3r.apps.studio.errors import NoSpace, NotFinished, NoWorker, QueueFull, UnknownResult
from gen3r.apps.studio.folders import ARCHIVES, PREVIEW, SCENE, Folders, session_id
from gen3r.apps.studio.jobs import DONE, ENDED, Job, JobRequest, Upload
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.models import allowed_models
from gen3r.apps.studio.page.model_settings import settings_of
from gen3r.apps.studio.pool import Pool
from gen3r.apps.studio.queue import Queue
from gen3r.apps.studio.repeat import Repeat, repeat_lines
from gen3r.apps.studio.root_lock import RootLock
from gen3r.apps.studio.store import Store
from gen3r.apps.studio.tidying import bytes_below, tidy
from gen3r.apps.studio.uploads import Readable, take
from gen3r.scene.export.registry import EXPORT_FORMATS

logger = logging.getLogger("gen3r.studio")

TIDY_SECONDS = 3600.0


class Studio:
    """Sessions with uploads and jobs, and worker processes that run the jobs. Every method may be called by any thread.

    A session is named by its key, a secret that whoever began it holds. Nothing can be reached through another
    session's key: what is there, but not in this session, is as unknown as what is not there.

    Use it as a context manager, or call `start` and `close`.
    """

    def __init__(
        self,
        root: Path,
        *,
        limits: Limits | None = None,
        models: Sequence[str] = (),
        workers: int = 1,
        device: str = "auto",
    ) -> None:
        """Open the studio of a folder; nothing runs before `start`.

        Args:
            root: folder of all its files, made if it is not there, private to the user.
            limits: how much clients may take.
            models: names of models that are on this machine, and model folders; none means every model that is here.
            workers: processes that run jobs. 0 takes none in.
            device: of the models: auto, cpu, cuda, cuda:1.

        Raises:
            ValueError: for an unknown model, a root that another studio uses, or the root of another gen3r.
        """
        if workers < 0:
            raise ValueError(f"workers must be 0 or more, got {workers}.")
        self.limits = limits or Limits()
        self._models = allowed_models(models)
        root = Path(root).expanduser().resolve()
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folders = Folders(root)
        self._lock = RootLock(self.folders.lock)
        try:
            shutil.rmtree(self.folders.page, ignore_errors=True)  # nobody who was sent its files is there any more
            for private in (self.folders.sessions, self.folders.logs, self.folders.page):
                private.mkdir(exist_ok=True)
                private.chmod(0o700)  # the root may be a folder that others read
            self.folders.database.touch()
            self.folders.database.chmod(0o600)
            self._database = Database(self.folders.database)
        except BaseException:
            self._lock.release()
            raise
        self._store = Store(self._database, self.limits)
        self._queue = Queue(self._database, self.limits.attempts)
        self._pool = Pool(root, self._queue, self.limits, self._models, workers=workers, device=device)
        self._over = threading.Event()
        self._tidier = threading.Thread(target=self._keep_tidy, name="gen3r-studio-tidier", daemon=True)

    def __enter__(self) -> Studio:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the workers. Jobs that were running when the studio ended wait again."""
        self._pool.start()
        self._tidier.start()

    def close(self) -> None:
        """Stop the workers; their jobs wait for the next start."""
        self._over.set()
        if self._tidier.is_alive():
            self._tidier.join()
        self._pool.close()
        self._database.close()
        self._lock.release()

    # what there is --------------------------------------------------------------------------------------------

    def models(self) -> list[str]:
        """Names a request may give as its model, the one that is taken if it gives none first."""
        return list(self._models)

    def trajectories(self) -> list[str]:
        """Names a request may give as its trajectory, `free` first."""
        from gen3r.cameras.trajectories import OFFICIAL_ALIASES, SHORT_ALIASES, TRAJECTORIES

        return [name for name in TRAJECTORIES if name not in OFFICIAL_ALIASES and name not in SHORT_ALIASES]

    def formats(self) -> list[dict[str, Any]]:
        """What results can be had as: name, summary, files, programs that open it, and whether it is available."""
        return [
            {
                "name": item.name,
                "summary": item.summary,
                "files": list(item.files),
                "opens_in": item.opens_in,
                "available": is_here(item),
            }
            for item in EXPORT_FORMATS
        ]

    def workers(self) -> int:
        """Processes that run jobs."""
        return self._pool.alive

    # sessions -------------------------------------------------------------------------------------------------

    def new_session(self) -> str:
        """Begin a session; its key, which is told to nobody else and is not kept.

        Raises:
            QueueFull: if there are too many sessions.
        """
        key = secrets.token_urlsafe(32)
        self._store.add_session(session_id(key))
        return key

    def has_session(self, session: str) -> bool:
        """Whether this is the key of a session."""
        return self._store.has_session(session_id(session))

    # uploads --------------------------------------------------------------------------------------------------

    def add_upload(self, session: str, file: Readable, name: str = "") -> Upload:
        """Take in a picture or video.

        Args:
            session: key.
            file: is read in pieces, no further than the limits go.
            name: what the user calls it. It is shown, and never used as a path.

        Raises:
            UnknownSession: for a wrong key.
            TooLarge: more bytes, pixels, frames, seconds or files than allowed.
            WrongType: the content is none of the types that are read.
            InvalidRequest: empty, truncated or damaged.
            NoSpace: the disk is almost full.
        """
        own = self._own(session)
        self._check_space()
        self._store.check_room(own)
        folder = self.folders.uploads(own)
        upload, suffix = take(file, name, folder, self.limits, self.limits.session_bytes)
        try:
            self._store.add_upload(own, upload, suffix)
        except BaseException:
            (folder / (upload.id + suffix)).unlink(missing_ok=True)
            raise
        return upload

    def uploads(self, session: str) -> list[Upload]:
        """Uploads of a session, oldest first."""
        return self._store.uploads(self._own(session))

    def upload_file(self, session: str, upload: str) -> Path:
        """The file of an upload, as it came.

        Raises:
            UnknownUpload: if the session has none of this id.
        """
        own = self._own(session)
        return self.folders.uploads(own) / self._store.upload(own, upload)[1]

    def remove_upload(self, session: str, upload: str) -> None:
        """Delete an upload.

        Raises:
            UnknownUpload: if the session has none of this id.
            NotFinished: if a job that has not ended uses it.
        """
        own = self._own(session)
        _, file = self._store.upload(own, upload)
        self._store.remove_upload(own, upload)
        (self.folders.uploads(own) / file).unlink(missing_ok=True)

    def check_page(self) -> None:
        """Whether the page may take in files, which belong to no session while they come.

        Raises:
            NoSpace: the disk is almost full.
            QueueFull: the page keeps too much already.
        """
        self._check_space()
        if bytes_below(self.folders.page) > self.limits.page_bytes:
            raise QueueFull("too many files are on their way to and from the studio", "try again later")

    # jobs -----------------------------------------------------------------------------------------------------

    def submit(self, session: str, request: JobRequest) -> Job:
        """Put a job into the queue. Once this returns, the job ends as done, failed or cancelled, whatever happens.

        Raises:
            UnknownSession: for a wrong key.
            UnknownUpload: for an upload that is not in this session.
            InvalidRequest: for values that do not fit.
            NoWorker: if nothing runs that could take it.
            QueueFull: if too many jobs wait.
            NoSpace: the disk is almost full.
        """
        own = self._own(session)
        uploads = [self._store.upload(own, upload)[0] for upload in request.uploads]
        request = with_model(request, self.models())
        frames = settings_of(self._models[request.model or ""]).frames
        check_request(request, uploads, self.limits, frames, self.trajectories(), self.folders.session(own))
        if not self.workers():
            raise NoWorker("no worker runs", "try again later", retry_after=10)
        self._check_space()
        return self._store.submit(own, uuid.uuid4().hex, request)

    def job(self, session: str, job: str) -> Job:
        """One job as it is now.

        Raises:
            UnknownJob: if the session has none of this id.
        """
        return self._store.job(self._own(session), job)

    def jobs(self, session: str) -> list[Job]:
        """Jobs of a session, newest first."""
        return self._store.jobs(self._own(session))

    def cancel(self, session: str, job: str) -> Job:
        """Cancel a job: at once if it waits, after the step at hand if it runs. Nothing for one that has ended.

        Raises:
            UnknownJob: if the session has none of this id.
        """
        return self._store.cancel(self._own(session), job)

    def remove(self, session: str, job: str) -> None:
        """Delete a job that has ended, with its results.

        Raises:
            UnknownJob: if the session has none of this id.
            NotFinished: if it has not ended.
        """
        own = self._own(session)
        if self._store.job(own, job).state not in ENDED or not self._store.remove_job(own, job):
            raise NotFinished("the job has not ended", "cancel it first")
        shutil.rmtree(self.folders.job(own, job), ignore_errors=True)

    def preview(self, session: str, job: str) -> Path | None:
        """A PNG of how the last frame looked after the newest step; None if there is none.

        Raises:
            UnknownJob: if the session has none of this id.
        """
        own = self._own(session)
        path = self.folders.attempt(own, job, self._store.attempt(own, job)) / PREVIEW
        return path if path.is_file() else None

    # results --------------------------------------------------------------------------------------------------

    def result(self, session: str, job: str, name: str) -> Path:
        """The file of this name among ``job.results``.

        Raises:
            UnknownJob: if the session has none of this id.
            UnknownResult: if it has no such result.
        """
        own = self._own(session)
        known = {result: result for result in self._store.job(own, job).results}
        if name not in known:
            raise UnknownResult("unknown result", "choose one of the job's results")
        return self._scene(own, job) / known[name]

    def scene_folder(self, session: str, job: str) -> Path:
        """The scene folder of a finished job.

        Raises:
            UnknownJob: if the session has none of this id.
            NotFinished: if there is no scene (yet).
        """
        own = self._own(session)
        if self._store.job(own, job).state != DONE:
            raise NotFinished("the job has no scene", "wait until it is done")
        return self._scene(own, job)

    def archive(self, session: str, job: str, formats: Sequence[str]) -> Path:
        """A zip of a finished scene in these formats ("all": those available here that can hold it). Made once, then
        kept. Some formats take a minute.

        Raises:
            UnknownJob: if the session has none of this id.
            NotFinished: if there is no scene (yet).
            InvalidRequest: for unknown formats, and formats that are not available or do not suit the scene.
        """
        scene = self.scene_folder(session, job)
        chosen = chosen_formats(formats)
        self._check_space()
        return make_archive(scene, chosen, scene.parent / ARCHIVES, lenient=ALL in formats)

    def repeat(self, session: str, job: str) -> Repeat:
        """The lines that make the same scene elsewhere.

        Raises:
            UnknownJob: if the session has none of this id.
            UnknownResult: if what was asked for cannot be read any more.
        """
        request, names = self._store.asked(self._own(session), job)
        return repeat_lines(request, names, request.model or next(iter(self._models), "MODEL"))

    # the rest -------------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Delete what is older or more than the limits allow, and files that nothing owns."""
        tidy(self._store, self.folders, self.limits)

    def _keep_tidy(self) -> None:
        while True:
            try:
                self.tidy()
            except Exception:
                logger.exception("tidying up failed")
            if self._over.wait(TIDY_SECONDS):
                return

    def _own(self, session: str) -> str:
        own = session_id(session)
        self._store.use_session(own)
        return own

    def _scene(self, own: str, job: str) -> Path:
        return self.folders.attempt(own, job, self._store.attempt(own, job)) / SCENE

    def _check_space(self) -> None:
        if shutil.disk_usage(self.folders.root).free < self.limits.free_bytes:
            raise NoSpace("the studio's disk is almost full", "its operator has to make room")
