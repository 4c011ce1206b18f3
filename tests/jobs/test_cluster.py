"""Ray clusters in processes of their own, on the loopback. What Ray does to this process stays out of this process."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gen3r.data.schema.stored import StoredClip
from gen3r.jobs.journal import read_journal
from jobs.drive import items
from jobs.processes import environment, group, python, ray_cluster, wait_for
from prepare.clip_folders import write_dataset

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="nodes get loopback addresses of their own"),
    pytest.mark.timeout(300),
]


def drive(out: Path, count: int, *options: object) -> list[object]:
    return python("-m", "jobs.drive", out, count, "--backend", "ray", *options)


def finished(command: list[object]) -> dict[str, object]:
    result = subprocess.run([str(word) for word in command], env=environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def check_outputs(out: Path, count: int, others: Sequence[str] = ()) -> None:
    """One whole file per item, each written once, nothing beside them, and all in the journal."""
    names = {item.key for item in items(count)}
    assert {path.name: path.read_text() for path in out.glob("*.txt")} == {f"{n}.txt": f"whole {n}" for n in names}
    written = lines(out / "written")
    assert len(written) == len(set(written))
    assert not list((out / "run").glob("begun/*"))
    journal = read_journal(out / "run")
    assert set(journal) <= names | set(others)
    assert set(journal) >= names
    assert {outcome.status for outcome in journal.values()} == {"done"}


def test_a_cluster_is_started_for_a_run_and_ended_with_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = finished(drive(out, 6))
    assert (report["done"], report["failed"]) == (6, {})
    check_outputs(out, 6)
    assert finished(drive(out, 6))["done"] == 0  # and again: nothing is left to do, no cluster is started


@pytest.mark.parametrize(
    ("address", "told"), [("127.0.0.2:9", "no Ray cluster answers at"), ("ray://127.0.0.2:9", "as HOST:PORT or auto")]
)
def test_an_address_without_a_cluster_is_told_at_once(tmp_path: Path, address: str, told: str) -> None:
    command = [str(word) for word in drive(tmp_path / "out", 2, "--address", address)]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert told in result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_workers_share_a_gpu_and_one_that_nobody_has_is_told(tmp_path: Path) -> None:
    code = """
import json, sys, ray
from gen3r.jobs import RunOptions, WorkSpec, run_jobs
from jobs.drive import items
ended, options = [], RunOptions(backend="ray", workers=2)
ray.init(num_cpus=2, num_gpus=1, object_store_memory=100_000_000, include_dashboard=False)
where = WorkSpec(unit="jobs.units:Where", gpus=0.5)
run_jobs(items(10), where, sys.argv[1] + "/half", options, ended=ended.append)
print(json.dumps([[outcome.result["gpu"], outcome.result["pid"]] for outcome in ended]))
run_jobs(items(1), WorkSpec(unit="jobs.units:Where", gpus=2.0), sys.argv[1] + "/two", options)
"""
    command = [str(word) for word in python("-c", code, tmp_path)]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert "a worker needs 2 GPU, and no machine of the Ray cluster has more than 1" in result.stderr
    seen = json.loads(result.stdout.splitlines()[-1])
    assert {gpu for gpu, _ in seen} == {"0"}
    assert len({pid for _, pid in seen}) == 2


def write_clips(folder: Path, count: int) -> list[str]:
    """Clips with a label each and no captions; returns their names."""
    names = [f"clip{number:03d}" for number in range(count)]
    first = write_dataset(folder, count=1, frames=1, captions=0, depth=False) / "clip0"
    for name in names:
        shutil.copytree(first, folder / name)
        record = json.loads((first / "scene.json").read_text()) | {"name": name, "labels": {"category": f"room {name}"}}
        (folder / name / "scene.json").write_text(json.dumps(record))
    shutil.rmtree(first)
    return names


@pytest.mark.slow
def test_killed_workers_and_a_killed_head_lose_and_double_nothing(tmp_path: Path) -> None:
    """Half of the items are those of a test, slow to write; the others are clips that a command captions."""
    out, count = tmp_path / "out", 24
    out.mkdir()
    clips = write_clips(tmp_path / "clips", count)
    files = {path.name for path in (tmp_path / "clips" / clips[0]).iterdir()}
    with ray_cluster(nodes=2) as cluster:
        where = ("--clips", tmp_path / "clips", "--address", cluster.address)
        command = drive(out, count, *where, "--workers", 4, "--seconds", 0.5)
        with group(command) as driver:
            wait_for(lambda: len(lines(out / "captioned")) >= 3 or driver.poll() is not None, 90)
            assert driver.poll() is None, driver.communicate()[0]
            victim = int(lines(out / "opened")[0])
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: len(lines(out / "opened")) > 4 and len(lines(out / "captioned")) >= 7, 60)
            nodes = {re.sub(", .*", "", outcome.worker) for outcome in read_journal(out / "run").values()}
            assert len(nodes) == 2
            cluster.kill()
            driver.wait(60)  # Ray ends a driver whose head is gone
            assert driver.returncode != 0
            assert len(read_journal(out / "run")) < 2 * count
        assert {path.read_text()[:5] for path in out.glob("*.txt")} == {"whole"}
        assert len(lines(out / "captioned")) + len(lines(out / "written")) < 2 * count
        cluster.start(1)
        report = finished(command)
    assert report["failed"] == {}
    check_outputs(out, count, clips)
    captioned = lines(out / "captioned")
    assert len(captioned) == len(set(captioned))
    for name in clips:
        clip = StoredClip.open(tmp_path / "clips" / name)
        assert clip.record.caption_kind == "template"
        assert all(name in caption for caption in clip.captions)
        assert {path.name for path in (tmp_path / "clips" / name).iterdir() if ".partial" not in path.name} == files
