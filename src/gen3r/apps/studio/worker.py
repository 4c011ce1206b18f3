"""A process that runs the studio's jobs: ``python -m gen3r.apps.studio.worker ROOT --models JSON``.

It ends when its standard input ends, which the studio keeps open as long as it lives itself.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from gen3r.apps.studio.database import Database
from gen3r.apps.studio.folders import PREVIEW, SCENE, Folders
from gen3r.apps.studio.jobs import CANCELLED, DONE, FAILED
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.queue import Claim, NotMine, Queue

if TYPE_CHECKING:
    from gen3r.apps.studio.running import Runner

logger = logging.getLogger("gen3r.studio.worker")

IDLE_SECONDS = 0.1
"""Between two looks for a job."""
BEAT_SECONDS = 2.0
"""Between two signs of life."""
GRACE_SECONDS = 3.0
"""Time to give the job back once the worker has to stop."""
BROKEN = "something went wrong in the studio; its operator finds more in the log"


class Worker:
    """Claims jobs and runs them until it is told to stop."""

    def __init__(self, folders: Folders, queue: Queue, name: str, runner: Runner) -> None:
        self.folders, self.queue, self.name, self.runner = folders, queue, name, runner
        self.stop = threading.Event()
        self._tails: dict[tuple[object, ...], float] = {}

    def work(self) -> None:
        """Run jobs until `stop` is set."""
        while not self.stop.is_set():
            claim = self.queue.claim(self.name)
            if claim is None:
                self.stop.wait(IDLE_SECONDS)
                continue
            self.run(claim)

    def run(self, claim: Claim) -> None:
        """Run one job and note how it ended. Whatever is wrong with it ends the job, not the worker."""
        from gen3r.apps.studio.progress import Cancelled, Progress, Stopping

        folder = self.folders.attempt(claim.session, claim.job, claim.attempt)
        sort = (claim.request.kind, claim.request.model, claim.request.frames, str(claim.request.size))
        progress = Progress(
            self.queue, self.name, claim.job, picture=folder / PREVIEW, stop=self.stop, tail=self._tails.get(sort)
        )
        logger.info("job %s, attempt %d: %s", claim.job, claim.attempt, claim.request.kind)
        try:
            shutil.rmtree(folder, ignore_errors=True)  # a job that was given back begins again under its number
            folder.mkdir(parents=True, exist_ok=True)
            self.runner.run(claim, self.folders.uploads(claim.session), folder / SCENE, progress)
            progress.check()
            self.queue.finish(self.name, claim.job, DONE, results=files_below(folder / SCENE))
            _clear_beside(folder)
            if progress.last_step is not None:
                self._tails[sort] = time.monotonic() - progress.last_step
        except NotMine:
            logger.warning("job %s was given to another worker", claim.job)
        except Stopping:
            self.queue.give_back(self.name)
        except Cancelled:
            self._end(claim, folder, CANCELLED, None)
        except ValueError as error:
            logger.info("job %s is refused", claim.job, exc_info=True)
            self._end(claim, folder, FAILED, self._told(str(error), claim))
        except Exception as error:
            logger.exception("job %s failed", claim.job)
            self._end(claim, folder, FAILED, out_of_memory(error) or BROKEN)

    def _end(self, claim: Claim, folder: Path, state: str, error: str | None) -> None:
        shutil.rmtree(folder / SCENE, ignore_errors=True)
        try:
            self.queue.finish(self.name, claim.job, state, error=error)
            _clear_beside(folder)
        except NotMine:
            logger.warning("job %s was given to another worker", claim.job)

    def _told(self, message: str, claim: Claim) -> str:
        """The message without paths of this machine."""
        uploads = self.folders.uploads(claim.session)
        for file, name in zip(claim.files, claim.names, strict=True):
            message = message.replace(str(uploads / file), name).replace(file, name)
        for name, place in self.runner.models.items():
            message = message.replace(place, name) if place != name else message
        return message.replace(str(self.folders.root), "").replace(str(Path.home()), "~")


def _clear_beside(folder: Path) -> None:
    """Delete what earlier attempts left, as far as a worker that outlives its studio does not hold on to it."""
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def files_below(folder: Path) -> list[str]:
    """Relative names of all files, in order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def out_of_memory(error: BaseException) -> str | None:
    """What to tell if the device was full; None for other errors."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "the machine has too little memory for this; ask for fewer frames or a smaller size"
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a worker until its standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m gen3r.apps.studio.worker")
    parser.add_argument("root", type=Path)
    parser.add_argument("--models", type=json.loads, required=True, help="JSON: what each name stands for")
    parser.add_argument("--name", default=uuid.uuid4().hex, help="of this worker, different for each")
    parser.add_argument("--log", default="worker", help="name of the log file")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--attempts", type=int, default=Limits().attempts)
    options = parser.parse_args(arguments)

    folders = Folders(options.root)
    folders.logs.mkdir(parents=True, exist_ok=True)
    log = RotatingFileHandler(folders.logs / f"{options.log}.log", maxBytes=1_000_000, backupCount=2, encoding="utf-8")
    log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[log])

    database = Database(folders.database)
    queue = Queue(database, options.attempts)
    queue.beat(options.name, os.getpid())

    stop = threading.Event()
    threading.Thread(target=_beat, args=(queue, options.name), daemon=True).start()
    threading.Thread(target=_end_with_input, args=(stop,), daemon=True).start()

    from gen3r.apps.studio.running import Runner

    worker = Worker(folders, queue, options.name, Runner(options.models, options.device))
    worker.stop = stop
    worker.work()
    queue.give_back(options.name)
    database.close()
    logging.shutdown()
    os._exit(0)  # at once: threads of libraries need not be waited for


def _beat(queue: Queue, name: str) -> None:
    while True:
        time.sleep(BEAT_SECONDS)
        try:
            queue.beat(name, os.getpid())
        except Exception:  # whoever stops giving signs of life is killed
            logger.exception("no sign of life could be given; trying again")


def _end_with_input(stop: threading.Event) -> None:
    """Wait until the studio is gone or wants this process to end, then allow it a moment to do so in order."""
    sys.stdin.buffer.read()
    stop.set()
    time.sleep(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
