"""Workers that cannot live are told apart from workers that can."""

from pathlib import Path

import pytest

from apps.studio.serving import wait_until
from gen3r.apps.studio.database import Database
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.pool import Pool
from gen3r.apps.studio.queue import Queue


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
