import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gen3r.jobs import JobItem, Outcome, RunOptions, RunReport, WorkSpec, run_jobs
from gen3r.jobs.journal import JOURNAL, open_journal, read_journal
from gen3r.jobs.work import content_hash
from jobs.drive import items
from jobs.processes import environment, group, python, wait_for

HERE, TWO = RunOptions(workers=1), RunOptions(workers=2)


def run(
    out: Path, todo: list[JobItem], options: RunOptions, settings: dict[str, Any] | None = None, **more: Any
) -> RunReport:
    out.mkdir(exist_ok=True)
    work = WorkSpec(unit="jobs.units:Write", settings={"out": str(out)} | (settings or {}))
    return run_jobs(todo, work, out / "run", options, **more)


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def bad(key: str, **how: Any) -> JobItem:
    return JobItem(key=key, payload={"key": key} | how)


@pytest.mark.parametrize("options", [HERE, TWO], ids=["here", "processes"])
def test_every_item_is_done_once_and_told(tmp_path: Path, options: RunOptions) -> None:
    told: list[tuple[int, int]] = []
    ended: list[Outcome] = []
    report = run(tmp_path, items(9), options, progress=lambda *now: told.append(now), ended=ended.append)
    assert told == [(n, 9) for n in range(10)]
    assert {outcome.key: outcome.result["square"] for outcome in ended} == {f"item{n:03d}": n**2 for n in range(9)}
    assert sorted(lines(tmp_path / "written")) == [item.key for item in items(9)]
    assert (report.done, report.skipped, report.failed, report.retries) == (9, 0, {}, 0)
    assert sum(worker.items for worker in report.workers.values()) == 9
    assert 1 <= len(report.workers) == len(lines(tmp_path / "opened")) <= max(1, options.workers)
    assert json.loads((tmp_path / "run" / "report.json").read_text())["done"] == 9
    assert read_journal(tmp_path / "run") == {outcome.key: outcome for outcome in ended}


@pytest.mark.parametrize("options", [HERE, TWO], ids=["here", "processes"])
def test_what_cannot_be_done_is_listed_and_stops_nothing(tmp_path: Path, options: RunOptions) -> None:
    report = run(tmp_path, [bad("error", error="no luck"), bad("mistake", mistake=True), *items(3)], options)
    assert report.done == 3
    assert report.failed["error"] == "RuntimeError: no luck"
    assert "workers" in report.failed["mistake"]
    begun = lines(tmp_path / "begun")
    assert begun.count("error") == 1 + options.retries
    assert begun.count("mistake") == 1  # the item itself is at fault: nobody tries again
    assert report.retries == options.retries
    assert "no luck" in read_journal(tmp_path / "run")["error"].trace
    assert any("error: RuntimeError: no luck" in line for line in report.lines())


def test_a_worker_that_dies_is_replaced_and_a_deadly_item_given_up(tmp_path: Path) -> None:
    todo = [bad("once", dies="once"), bad("always", dies="always"), *items(4)]
    report = run(tmp_path, todo, TWO)
    assert report.done == 5
    assert list(report.failed) == ["always"]
    assert "died (code -9)" in report.failed["always"]
    assert lines(tmp_path / "begun").count("always") == 3
    outcome = read_journal(tmp_path / "run")["once"]
    assert (outcome.status, outcome.attempts) == ("done", 2)
    assert sorted(lines(tmp_path / "written")) == sorted(["once", *(item.key for item in items(4))])


def test_work_whose_half_written_folder_vanished_is_done_again(tmp_path: Path) -> None:
    report = run(tmp_path, [bad("plain", vanishes="plain"), bad("told", vanishes="told")], HERE)
    assert (report.done, report.retries, report.failed) == (2, 2, {})
    assert [(tmp_path / f"{name}.folder" / "file").read_text() for name in ("plain", "told")] == ["whole", "whole"]


def test_a_second_run_does_what_is_left_and_tries_failures_again(tmp_path: Path) -> None:
    run(tmp_path, [*items(3), bad("error", error="no")], replace(HERE, retries=0))
    report = run(tmp_path, [*items(5), bad("error")], HERE)
    assert (report.done, report.skipped, report.failed) == (3, 3, {})
    assert sorted(lines(tmp_path / "written")) == sorted(["error", *(item.key for item in items(5))])
    assert run(tmp_path, items(5), HERE).skipped == 5


def test_outputs_decide_where_somebody_looks_for_them(tmp_path: Path) -> None:
    def exists(item: JobItem) -> bool:
        return (tmp_path / f"{item.key}.txt").exists()

    run(tmp_path, items(2), HERE, exists=exists)
    (tmp_path / "item001.txt").unlink()
    report = run(tmp_path, items(2), HERE, exists=exists)
    assert (report.skipped, report.done) == (1, 1)
    assert exists(items(2)[1])


def test_half_a_line_of_the_journal_is_cut_off(tmp_path: Path) -> None:
    run(tmp_path, items(2), HERE)
    path = tmp_path / "run" / JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert list(read_journal(tmp_path / "run")) == ["item000"]
    report = run(tmp_path, items(2), HERE)
    assert (report.skipped, report.done) == (1, 1)  # the output is found to be there: done at once
    assert lines(tmp_path / "written") == ["item000", "item001"]
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["item000", "item001"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with open_journal(tmp_path / "run"), pytest.raises(ValueError, match="another process is at work"):
        run(tmp_path, items(1), HERE)
    assert run(tmp_path, items(1), HERE).done == 1


def test_keys_are_distinct_and_the_same_in_every_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'item000' twice"):
        run(tmp_path, [*items(2), *items(1)], HERE)
    assert JobItem.of({"a": 1, "b": [2]}) == JobItem.of({"b": [2], "a": 1})
    assert JobItem.of({"key": "k", "a": 1}).key == "k"
    assert content_hash({"a": 1}) != content_hash({"a": "1"})


def test_settings_that_are_refused_end_the_run(tmp_path: Path) -> None:
    for options in (HERE, TWO):
        with pytest.raises(ValueError, match="expected retries to be 0 or more"):
            run_jobs(items(2), WorkSpec(unit="jobs.units:Refuse"), tmp_path / str(options.workers), options)


def test_a_unit_that_cannot_be_opened_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"ZeroDivisionError"):
        run_jobs(items(2), WorkSpec(unit="jobs.units:Broken"), tmp_path / "run", TWO)
    with pytest.raises(RuntimeError, match=r"3 workers in a row died while they began"):
        run_jobs(items(2), WorkSpec(unit="jobs.units:DiesAtOnce"), tmp_path / "run", TWO)


@pytest.mark.parametrize(("gpus", "seen"), [(1.0, {"3", "5"}), (0.5, {"3"}), (0.0, {"3,5"})])
def test_each_worker_sees_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: float, seen: set[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    ended: list[Outcome] = []
    run_jobs(items(6), WorkSpec(unit="jobs.units:Where", gpus=gpus), tmp_path, TWO, ended=ended.append)
    assert {outcome.result["gpu"] for outcome in ended} == seen
    assert len({outcome.result["pid"] for outcome in ended}) == 2


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"retries": -1}, {"cpus": -0.5}])
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"expected {next(iter(wrong))} to be 0 or more, got -"):
        RunOptions(**wrong)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    command = python("-m", "jobs.drive", tmp_path / "out", 12, "--seconds", 0.1)
    with group(command) as driver:
        wait_for(lambda: len(lines(tmp_path / "out" / "written")) >= 3, 60)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        workers = [int(pid) for pid in lines(tmp_path / "out" / "opened")]
        wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and _lives(pid) for pid in workers), 20)
    assert {path.read_text()[:5] for path in (tmp_path / "out").glob("*.txt")} == {"whole"}
    result = subprocess.run([str(w) for w in command], env=environment(), capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["failed"] == {}
    written = lines(tmp_path / "out" / "written")
    assert len(written) == len(set(written))
    assert len(list((tmp_path / "out").glob("*.txt"))) == 12


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    with group(python("-m", "jobs.drive", tmp_path / "out", 8, "--seconds", 0.3)) as driver:
        wait_for(lambda: len(lines(tmp_path / "out" / "written")) >= 2, 60)
        os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to all of them
        said, _ = driver.communicate(timeout=30)
    assert driver.returncode != 0
    assert "KeyboardInterrupt" in said
    assert not list((tmp_path / "out").glob(".*partial*"))
    assert {path.read_text()[:5] for path in (tmp_path / "out").glob("*.txt")} == {"whole"}


def _lives(pid: int) -> bool:
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_local_work_imports_no_ray() -> None:
    code = "import sys, gen3r.jobs.local; sys.exit('ray' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
