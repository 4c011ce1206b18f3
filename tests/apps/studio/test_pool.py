"""Workers that cannot live are told apart from workers that can."""

import sqlite3
from pathlib import Path

import pytest

from apps.studio.serving import wait_until
from gen3r.apps.studio.database import Database
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.pool import Pool
from gen3r.apps.studio.queue import Queue
from gen3r.apps.studio.worker import _beat


def test_workers_that_keep_dying_do_not_count_until_they_live(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    database = Database(tmp_path / "studio.sqlite")
    queue = Queue(database, 3)
    obstacle = tmp_path / "logs"
    obstacle.write_text("a file where a folder should be")
    pool = Pool(tmp_path, queue, Limits(), {}, workers=1, device="cpu", healthy_seconds=1.5)
    assert pool.alive == 0
    pool.start()
    try:
        wait_until(lambda: pool.slots[0].deaths >= 2, "it dies twice")
        assert pool.alive == 0
        obstacle.unlink()
        wait_until(lambda: pool.alive == 1, "it lives")
    finally:
        pool.close()
        database.close()
    assert "FileExistsError" in capfd.readouterr().err


class FullDisk(Queue):
    """Cannot write for a while."""

    failures = 2

    def fail(self) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise sqlite3.OperationalError("database or disk is full")

    def release(self, worker: str) -> int:
        self.fail()
        return super().release(worker)

    def beat(self, worker: str, pid: int) -> None:
        self.fail()
        if self.failures < -1:
            raise SystemExit  # ends the test's loop
        super().beat(worker, pid)


def test_a_full_disk_ends_neither_the_watcher_nor_counts_dead_workers_as_living(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gen3r.apps.studio.pool.AFTER_ERROR_SECONDS", 0.3)
    database = Database(tmp_path / "studio.sqlite")
    (tmp_path / "logs").write_text("a file where a folder should be, so that workers die")
    pool = Pool(tmp_path, FullDisk(database, 3), Limits(), {}, workers=1, device="cpu")
    pool.start()
    try:
        process = pool.slots[0].process
        assert process is not None
        assert pool.alive == 1
        process.wait(60)
        assert pool.alive == 0
        wait_until(lambda: pool.slots[0].deaths >= 1, "the watcher goes on")
    finally:
        pool.close()
        database.close()
    assert "disk is full" in caplog.text
    assert "FileExistsError" in capfd.readouterr().err
    assert pool.alive == 0


def test_a_worker_gives_signs_of_life_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gen3r.apps.studio.worker.BEAT_SECONDS", 0.01)
    database = Database(tmp_path / "studio.sqlite")
    queue = FullDisk(database, 3)
    with pytest.raises(SystemExit):
        _beat(queue, "w")
    assert queue.silent(float("inf")) == ["w"]
    database.close()
