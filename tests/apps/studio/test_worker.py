"""One worker and the shipped model: good jobs, bad jobs, cancelled jobs, and those it gives back."""

import io
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from apps.studio.media import picture
from apps.studio.serving import wait_until
from gen3r.apps.studio.database import Database
from gen3r.apps.studio.folders import PREVIEW, SCENE, Folders
from gen3r.apps.studio.jobs import Job, JobRequest
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.queue import Claim, Queue
from gen3r.apps.studio.running import Runner, Watcher
from gen3r.apps.studio.store import Store
from gen3r.apps.studio.uploads import take
from gen3r.apps.studio.worker import BROKEN, Worker
from gen3r.scene.scene import Scene

SESSION = "5" * 32


@dataclass
class Bench:
    """A worker whose jobs are submitted and run by the test."""

    folders: Folders
    store: Store
    queue: Queue
    worker: Worker

    def submit(self, **fields: object) -> str:
        return self.store.submit(SESSION, uuid.uuid4().hex, JobRequest(**fields)).id

    def run(self) -> None:
        claim = self.queue.claim(self.worker.name)
        assert claim is not None
        self.worker.run(claim)

    def made(self, **fields: object) -> Job:
        job = self.submit(**fields)
        self.run()
        return self.job(job)

    def job(self, job: str) -> Job:
        return self.store.job(SESSION, job)

    def folder(self, job: str) -> Path:
        return self.folders.attempt(SESSION, job, self.store.attempt(SESSION, job))

    def upload(self) -> str:
        record, suffix = take(io.BytesIO(picture()), "my photo.png", self.folders.uploads(SESSION), Limits(), 10**9)
        self.store.add_upload(SESSION, record, suffix)
        return record.id


@pytest.fixture(scope="module")
def runner() -> Runner:
    return Runner({"tiny": "tiny", "gone": "/no/such/folder"}, "cpu")


@pytest.fixture
def bench(tmp_path: Path, runner: Runner) -> Iterator[Bench]:
    folders = Folders(tmp_path)
    database = Database(folders.database)
    store, queue = Store(database, Limits()), Queue(database, 3)
    store.add_session(SESSION)
    yield Bench(folders, store, queue, Worker(folders, queue, "w", runner))
    database.close()


def test_a_job_becomes_a_scene_with_progress_and_a_preview(bench: Bench) -> None:
    job = bench.made(uploads=[bench.upload()], prompt="a room", frames=1, steps=2, trajectory="orbit_right", seed=3)
    assert (job.state, job.done, job.total, job.error) == ("done", 2, 2, None)
    folder = bench.folder(job.id)
    assert job.results == sorted(p.relative_to(folder / SCENE).as_posix() for p in (folder / SCENE).rglob("*.*"))
    scene = Scene.load(folder / SCENE)
    assert (scene.frames, scene.provenance["settings"]["seed"]) == (1, 3)
    assert job.has_preview
    with Image.open(folder / PREVIEW) as preview:
        assert preview.size == (scene.width, scene.height)


def test_a_cancelled_job_stops_within_its_steps_and_leaves_no_scene(bench: Bench) -> None:
    job = bench.submit(prompt="a room", frames=1, steps=200)
    working = threading.Thread(target=bench.run)
    working.start()
    wait_until(lambda: bench.job(job).done > 0, "the first step")
    assert bench.job(job).eta_seconds is None or bench.job(job).eta_seconds > 0
    bench.store.cancel(SESSION, job)
    working.join(60)
    ended = bench.job(job)
    assert (ended.state, ended.results) == ("cancelled", [])
    assert 0 < ended.done < 200
    assert not (bench.folder(job) / SCENE).exists()


def test_a_worker_that_has_to_stop_gives_its_job_back(bench: Bench) -> None:
    job = bench.submit(prompt="a room", frames=1, steps=200)
    bench.worker.stop.set()
    bench.run()
    assert (bench.job(job).state, bench.job(job).queue_position) == ("queued", 1)
    bench.worker.stop.clear()
    bench.store.cancel(SESSION, job)


def test_mistakes_are_told_without_paths_and_the_worker_goes_on(bench: Bench) -> None:
    missing, damaged = bench.upload(), bench.upload()
    (bench.folders.uploads(SESSION) / f"{missing}.png").unlink()
    (bench.folders.uploads(SESSION) / f"{damaged}.png").write_bytes(b"no picture any more")
    for fields, problem in (
        ({"prompt": "a", "size": [100, 112]}, "must be a multiple of 112"),
        ({"uploads": [missing]}, "my_photo.png does not exist"),
        ({"uploads": [damaged]}, "my_photo.png is not an image"),
        ({"prompt": "a", "model": "other"}, "offered no longer"),
        ({"prompt": "a", "model": "gone"}, "got 'gone'"),
    ):
        job = bench.made(**fields)
        assert job.state == "failed"
        assert problem in (job.error or ""), job.error
        assert str(bench.folders.root) not in (job.error or "")
    assert bench.made(prompt="a", frames=1, steps=1).state == "done"


def test_defects_are_not_told_but_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    job = bench.submit(prompt="a", frames=1, steps=1)
    bench.folders.session(SESSION).mkdir(parents=True, exist_ok=True)
    (bench.folders.session(SESSION) / "jobs").write_text("a file where a folder should be")
    bench.run()
    assert (bench.job(job).state, bench.job(job).error) == ("failed", BROKEN)
    assert "Traceback" in caplog.text


def test_an_earlier_attempt_is_left_alone_until_the_job_has_ended(bench: Bench) -> None:
    rest: Path

    class Looking(Runner):
        def run(self, claim: Claim, uploads: Path, out: Path, watcher: Watcher) -> None:
            assert rest.exists()
            assert list(out.parent.iterdir()) == []
            raise ValueError("it does not fit")

    bench.worker.runner = Looking({}, "cpu")
    for attempt in (1, 7):  # 1 is the attempt that runs: a job that was given back
        job = bench.submit(prompt="a")
        rest = bench.folders.attempt(SESSION, job, 7) / SCENE / "half.ply"
        for folder in (rest.parent, bench.folders.attempt(SESSION, job, attempt) / SCENE):
            folder.mkdir(parents=True, exist_ok=True)
        rest.write_text("half")
        bench.run()
        assert bench.job(job).error == "it does not fit"
        assert not rest.exists()
        assert bench.folder(job).exists()
