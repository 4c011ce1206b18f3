"""The options of commands that work over many items, and what `run_units` tells."""

from pathlib import Path
from typing import Any

import pytest

from gen3r.cli.data.running import RUN_FOLDER, Running, run_units
from gen3r.jobs.journal import read_journal
from jobs.units import Write


@pytest.mark.parametrize(
    ("running", "told"),
    [
        (Running(ray_address="auto"), "--ray-address auto expects --backend ray, got local"),
        (Running(worker_gpus=-0.5), "--worker-gpus expects 0 or more, got -0.5"),
        (Running(workers=-1), "expected workers to be 0 or more, got -1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(running: Running, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        running.options()


def test_options_reach_the_runner() -> None:
    options = Running(workers=3, backend="ray", ray_address="a:1", retries=0, worker_cpus=2.0).options()
    assert (options.workers, options.backend, options.address, options.retries, options.cpus) == (3, "ray", "a:1", 0, 2)


@pytest.mark.parametrize(
    ("running", "device", "share"),
    [(Running(), "cpu", 0.0), (Running(), "cuda", 1.0), (Running(worker_gpus=0.5), "auto", 0.5)],
)
def test_a_worker_takes_of_a_gpu_what_it_is_told_to(running: Running, device: str, share: float) -> None:
    assert running.gpus(device) == share


def test_units_are_run_recorded_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items: list[dict[str, Any]] = [{"key": "good"}, {"key": "bad", "error": "no luck"}]
    report = run_units("Writing", Write, {"out": str(tmp_path)}, items, tmp_path, Running(retries=1))
    said = capsys.readouterr()
    assert (report.done, report.failed, report.retries) == (1, {"bad": "RuntimeError: no luck"}, 1)
    assert said.out.startswith("1 done, 0 done before, 1 failed, 1 retries")
    assert "  bad: RuntimeError: no luck" in said.out.splitlines()
    assert str(tmp_path / RUN_FOLDER) in said.err
    assert set(read_journal(tmp_path / RUN_FOLDER)) == {"good", "bad"}
