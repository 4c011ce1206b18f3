"""The studio's file: whoever claims, cancels, dies or restarts, every job ends once."""

import json
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gen3r.apps.studio.database import _STEPS, Database
from gen3r.apps.studio.errors import (
    NotFinished,
    QueueFull,
    TooLarge,
    UnknownJob,
    UnknownResult,
    UnknownSession,
    UnknownUpload,
)
from gen3r.apps.studio.jobs import CANCELLED, DONE, ENDED, FAILED, QUEUED, RUNNING, JobRequest, Upload
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.queue import NotMine, Queue
from gen3r.apps.studio.root_lock import RootLock
from gen3r.apps.studio.store import Store

REQUEST = JobRequest(prompt="a room")
SESSION = "s"
MANY = Limits(queue=1000, jobs_per_session=1000)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "studio.sqlite")
    yield opened
    opened.close()


def fill(database: Database, jobs: int, limits: Limits = MANY) -> tuple[Store, Queue, list[str]]:
    store, queue = Store(database, limits), Queue(database, attempts=limits.attempts)
    store.add_session(SESSION)
    ids = [uuid.uuid4().hex for _ in range(jobs)]
    for job in ids:
        store.submit(SESSION, job, REQUEST)
    return store, queue, ids


def claimed(queue: Queue, worker: str) -> str:
    claim = queue.claim(worker)
    assert claim is not None
    return claim.job


def test_jobs_are_claimed_in_order_and_their_places_are_told(database: Database) -> None:
    store, queue, ids = fill(database, 3)
    assert [store.job(SESSION, job).queue_position for job in ids] == [1, 2, 3]
    assert claimed(queue, "w") == ids[0]
    assert [store.job(SESSION, job).queue_position for job in ids] == [None, 1, 2]
    assert [job.id for job in store.jobs(SESSION)] == ids[::-1]


def test_threads_never_claim_a_job_twice(database: Database) -> None:
    _, queue, ids = fill(database, 40)

    def claim_all(worker: str) -> list[str]:
        found = []
        while (claim := queue.claim(worker)) is not None:
            found.append(claim.job)
        return found

    with ThreadPoolExecutor(4) as threads:
        found = [job for jobs in threads.map(claim_all, "abcd") for job in jobs]
    assert sorted(found) == sorted(ids)


def test_processes_never_claim_a_job_twice(database: Database) -> None:
    _, _, ids = fill(database, 40)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from gen3r.apps.studio.database import Database\nfrom gen3r.apps.studio.queue import Queue\n"
        "queue = Queue(Database(Path(sys.argv[1])), 3)\n"
        "while (claim := queue.claim(sys.argv[2])) is not None:\n    print(claim.job)\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(database.path), name], stdout=subprocess.PIPE, text=True)
        for name in "abc"
    ]
    found = [job for process in processes for job in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(found) == sorted(ids)


def test_what_a_worker_says_about_a_job_that_was_taken_from_it_is_refused(database: Database) -> None:
    store, queue, _ = fill(database, 1)
    job = claimed(queue, "old")
    assert queue.release("old") == 1
    assert claimed(queue, "new") == job
    for late in (
        lambda: queue.report("old", job, message="generating", done=1, total=2),
        lambda: queue.is_wanted("old", job),
        lambda: queue.finish("old", job, DONE, results=["late.ply"]),
    ):
        with pytest.raises(NotMine):
            late()
    queue.finish("new", job, DONE, results=["points.ply"])
    ended = store.job(SESSION, job)
    assert (ended.state, ended.results) == (DONE, ["points.ply"])
    with pytest.raises(NotMine):
        queue.finish("new", job, FAILED, error="again")


def test_a_job_that_kills_its_workers_fails_in_the_end_and_keeps_its_place_until_then(database: Database) -> None:
    store, queue, ids = fill(database, 2)
    for attempt in range(1, MANY.attempts + 1):
        claim = queue.claim(f"w{attempt}")
        assert claim is not None
        assert (claim.job, claim.attempt) == (ids[0], attempt)
        queue.release(f"w{attempt}")
    ended = store.job(SESSION, ids[0])
    assert ended.state == FAILED
    assert "died 3 times" in (ended.error or "")
    assert ended.finished is not None


def test_stopping_in_good_order_costs_no_attempt(database: Database) -> None:
    store, queue, _ = fill(database, 1)
    for _ in range(2 * MANY.attempts):
        claim = queue.claim("w")
        assert claim is not None
        assert claim.attempt == 1
        queue.give_back("w")
    assert store.jobs(SESSION)[0].state == QUEUED


def test_cancelling_ends_a_waiting_job_at_once_and_tells_the_worker_of_a_running_one(database: Database) -> None:
    store, queue, ids = fill(database, 2)
    running = claimed(queue, "w")
    assert store.cancel(SESSION, ids[1]).state == CANCELLED
    assert store.cancel(SESSION, running).state == RUNNING
    assert not queue.is_wanted("w", running)
    queue.report("w", running, message="generating", done=1, total=2)
    assert store.job(SESSION, running).message == "cancelling"
    queue.release("w")  # even if the worker dies before it heeds that
    assert store.job(SESSION, running).state == CANCELLED
    assert store.cancel(SESSION, running).state == CANCELLED
    assert queue.claim("w") is None


def test_silent_workers_lose_their_jobs(database: Database) -> None:
    store, queue, ids = fill(database, 2)
    queue.beat("lively", 1)
    queue.beat("silent", 2)
    assert [claimed(queue, "silent"), claimed(queue, "lively")] == ids
    time.sleep(0.05)
    since = time.time()
    queue.beat("lively", 1)
    assert queue.silent(since) == ["silent"]
    assert queue.release_silent(since) == 1
    assert [store.job(SESSION, job).state for job in ids] == [QUEUED, RUNNING]
    assert queue.overdue(time.time() + 1) == [("lively", ids[1])]


def test_limits_of_the_queue(database: Database) -> None:
    store, queue, _ = fill(database, 2, Limits(queue=3, jobs_per_session=2))
    with pytest.raises(QueueFull, match="of this session") as full:
        store.submit(SESSION, uuid.uuid4().hex, REQUEST)
    assert full.value.retry_after > 0
    store.add_session("other")
    store.submit("other", uuid.uuid4().hex, REQUEST)
    with pytest.raises(QueueFull, match="3 jobs are waiting"):
        store.submit("other", uuid.uuid4().hex, REQUEST)
    claimed(queue, "w")
    store.submit("other", uuid.uuid4().hex, REQUEST)


def test_nothing_of_another_session_is_known(database: Database) -> None:
    store, _, ids = fill(database, 1)
    store.add_session("other")
    store.add_upload(SESSION, upload("f" * 32), ".png")
    for ask in (
        lambda: store.job("other", ids[0]),
        lambda: store.cancel("other", ids[0]),
        lambda: store.attempt("other", ids[0]),
    ):
        with pytest.raises(UnknownJob):
            ask()
    with pytest.raises(UnknownUpload):
        store.upload("other", "f" * 32)
    with pytest.raises(UnknownUpload):
        store.submit("other", uuid.uuid4().hex, JobRequest(uploads=["f" * 32]))
    assert not store.remove_job("other", ids[0])
    assert (store.jobs("other"), store.uploads("other")) == ([], [])
    with pytest.raises(UnknownSession):
        store.use_session("none")


def test_uploads_are_bounded_and_stay_while_a_job_needs_them(database: Database) -> None:
    store, _, _ = fill(database, 0, Limits(files_per_session=2, session_bytes=100))
    store.add_upload(SESSION, upload("a" * 32, size=60), ".png")
    with pytest.raises(TooLarge, match="MB"):
        store.add_upload(SESSION, upload("b" * 32, size=60), ".png")
    store.add_upload(SESSION, upload("b" * 32, size=10), ".png")
    with pytest.raises(TooLarge, match="2 uploads"):
        store.check_room(SESSION)
    job = store.submit(SESSION, uuid.uuid4().hex, JobRequest(uploads=["a" * 32]))
    with pytest.raises(NotFinished):
        store.remove_upload(SESSION, "a" * 32)
    store.cancel(SESSION, job.id)
    store.remove_upload(SESSION, "a" * 32)
    assert [kept.id for kept in store.uploads(SESSION)] == ["b" * 32]


def test_old_sessions_and_long_histories_are_forgotten_but_never_unfinished_jobs(database: Database) -> None:
    store, queue, ids = fill(database, 4, Limits(history_per_session=1))
    assert store.forget_sessions(time.time() + 1) == []
    for _ in range(3):
        queue.finish("w", claimed(queue, "w"), DONE)
    assert sorted(store.forget_jobs()) == sorted((SESSION, job) for job in ids[:2])
    assert {job.id for job in store.jobs(SESSION)} == set(ids[2:])
    queue.finish("w", claimed(queue, "w"), DONE)
    assert store.forget_sessions(time.time() + 1) == [SESSION]
    assert store.sessions() == set()


def test_empty_sessions_are_forgotten_sooner(database: Database) -> None:
    store, _, _ = fill(database, 1)
    store.add_session("empty")
    store.add_session("with an upload")
    store.add_upload("with an upload", upload("a" * 32), ".png")
    store.forget_empty_sessions(time.time() - 100)
    assert len(store.sessions()) == 3
    store.forget_empty_sessions(time.time() + 1)
    assert store.sessions() == {SESSION, "with an upload"}


ACTIONS = ("claim", "finish", "fail", "cancel first", "cancel last", "die", "stop", "restart")


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from("ab")), max_size=20))
def test_whatever_happens_every_job_ends(tmp_path: Path, actions: list[tuple[str, str]]) -> None:
    database = Database(tmp_path / f"{uuid.uuid4().hex}.sqlite")
    try:
        store, queue, ids = fill(database, 3)
        held: dict[str, str] = {}
        for action, worker in actions:
            if action == "claim" and worker not in held and (claim := queue.claim(worker)) is not None:
                held[worker] = claim.job
            elif action in ("finish", "fail") and worker in held:
                queue.finish(worker, held.pop(worker), DONE if action == "finish" else FAILED)
            elif action.startswith("cancel"):
                store.cancel(SESSION, ids[0 if action == "cancel first" else -1])
            elif action == "die":
                queue.release(worker)
                held.pop(worker, None)
            elif action == "stop":
                queue.give_back(worker)
                held.pop(worker, None)
            elif action == "restart":
                queue.release_all()
                held.clear()
            assert {store.job(SESSION, job).id for job in held.values()} == set(held.values())
            assert all(store.job(SESSION, job).state == RUNNING for job in held.values())
        queue.release_all()
        while (claim := queue.claim("last")) is not None:
            queue.finish("last", claim.job, DONE)
        assert all(store.job(SESSION, job).state in ENDED for job in ids)
    finally:
        database.close()


def test_jobs_survive_closing_the_file(tmp_path: Path) -> None:
    first = Database(tmp_path / "studio.sqlite")
    _, _, ids = fill(first, 2)
    first.close()
    second = Database(tmp_path / "studio.sqlite")
    assert [job.id for job in Store(second, MANY).jobs(SESSION)] == ids[::-1]
    second.close()


def test_a_transaction_happens_wholly_or_not_at_all(database: Database) -> None:
    class Broken(Exception):
        pass

    def break_off() -> None:
        with database.write() as rows:
            rows.execute("INSERT INTO sessions (id, created, used) VALUES ('x', 0, 0)")
            raise Broken

    with pytest.raises(Broken):
        break_off()
    assert Store(database, MANY).sessions() == set()


def test_a_request_that_cannot_be_read_fails_and_blocks_nothing(database: Database) -> None:
    store, queue, ids = fill(database, 3)
    with database.write() as rows:
        rows.execute("""UPDATE jobs SET request = '{"prompt": "a room", "of": "later"}' WHERE id = ?""", (ids[0],))
        rows.execute("UPDATE jobs SET request = 'no JSON' WHERE id = ?", (ids[1],))
    assert [job.id for job in store.jobs(SESSION)] == ids[::-1]
    assert claimed(queue, "w") == ids[2]
    assert [store.job(SESSION, job).state for job in ids] == [FAILED, FAILED, RUNNING]
    assert "another gen3r" in (store.job(SESSION, ids[0]).error or "")
    with pytest.raises(UnknownResult, match="another gen3r"):
        store.asked(SESSION, ids[0])
    assert store.remove_job(SESSION, ids[0])


def test_what_was_asked_for_keeps_the_names_of_deleted_uploads(database: Database) -> None:
    store, _, _ = fill(database, 0)
    request = JobRequest(uploads=["a" * 32])
    store.add_upload(SESSION, upload("a" * 32, name="walk.mp4"), ".mp4")
    job = store.submit(SESSION, uuid.uuid4().hex, request).id
    store.cancel(SESSION, job)
    store.remove_upload(SESSION, "a" * 32)
    assert store.asked(SESSION, job) == (request, ["walk.mp4"])


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "studio.sqlite")
    old.executescript(f"{_STEPS[0]} PRAGMA user_version = 1;")
    old.execute("INSERT INTO sessions VALUES (?, 0, 0)", (SESSION,))
    record = json.dumps(upload("a" * 32, name="walk.mp4").model_dump())
    old.execute("INSERT INTO uploads VALUES (?, ?, '.mp4', ?, 1)", ("a" * 32, SESSION, record))
    request = JobRequest(uploads=["b" * 32, "a" * 32])
    old.execute(
        "INSERT INTO jobs (id, session, state, request, created) VALUES ('j', ?, 'done', ?, 0)",
        (SESSION, json.dumps(request.model_dump())),
    )
    old.commit()
    old.close()
    for _ in range(2):
        opened = Database(tmp_path / "studio.sqlite")
        assert Store(opened, MANY).asked(SESSION, "j") == (request, ["upload.png", "walk.mp4"])
        opened.close()


def test_files_of_other_programs_are_refused(tmp_path: Path) -> None:
    newer = sqlite3.connect(tmp_path / "newer.sqlite")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(ValueError, match="version 99"):
        Database(tmp_path / "newer.sqlite")
    (tmp_path / "other.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(ValueError, match="is no database"):
        Database(tmp_path / "other.sqlite")


def test_one_studio_per_folder(tmp_path: Path) -> None:
    lock = RootLock(tmp_path / "lock.sqlite")
    with pytest.raises(ValueError, match="another studio"):
        RootLock(tmp_path / "lock.sqlite")
    lock.release()
    RootLock(tmp_path / "lock.sqlite").release()


def upload(identifier: str, size: int = 1, name: str = "a.png") -> Upload:
    return Upload(
        id=identifier, kind="image", name=name, width=1, height=1, frames=1, seconds=0.0, bytes=size, created=0.0
    )
