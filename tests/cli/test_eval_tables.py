import json
from pathlib import Path
from types import MappingProxyType

import pytest

from cli.running import Runner
from gen3r.cli.evaluation.time_left import TimeLeft, duration
from gen3r.eval.suite import registry
from prepare.clip_folders import write_dataset


def test_one_process_and_two_give_the_same_numbers(
    tmp_path: Path, gen3r: Runner, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "BENCHMARKS", MappingProxyType({"simple": "eval.suite.simple"}))
    data = write_dataset(tmp_path / "data", 2, frames=5)
    options = (
        "eval",
        "tables",
        "--data",
        data,
        "--split",
        "train",
        "--model",
        model,
        "--device",
        "cpu",
        "--other-commits",
    )
    options += ("--steps", 1)
    one, two = tmp_path / "one", tmp_path / "two"
    alone = gen3r(*options, "--out", one)
    assert (alone.code, alone.stderr.count("warning")) == (0, 0)
    assert "| first frame |" in alone.stdout
    assert gen3r(*options, "--out", two, "--workers", 2, "simple").code == 0
    records = [json.loads((folder / "simple.json").read_text()) for folder in (one, two)]
    assert records[0]["clips"] == records[1]["clips"]
    assert len(records[0]["clips"]) == 2
    assert records[0]["machine"]["torch"]

    again = gen3r(*options, "--out", one)
    assert (again.code, "done" in again.stdout) == (0, False)  # nothing was left to measure
    refused = gen3r(*options[:-1], 2, "--out", one)
    assert (refused.code, "settings steps was 1, now 2" in refused.stderr) == (2, True)
    assert gen3r(*options, "--out", two, "t99").code == 2

    files = (one / "simple.json", two / "simple.json")
    compared = gen3r("eval", "compare", *files, "--out", tmp_path / "difference.md")
    assert (compared.code, (tmp_path / "difference.md").read_text()) == (0, compared.stdout)
    assert compared.stdout.count("no clear difference") == len(records[0]["metrics"])
    rows = gen3r("eval", "compare", files[0], "--rows", "gen1", "copy", "--metrics", "psnr")
    assert (rows.code, rows.stdout.splitlines()[2].startswith("| `psnr`, dB |")) == (0, True)
    assert gen3r("eval", "compare", files[0]).code == 2
    document = tmp_path / "results.md"
    document.write_text(f"<!-- table: {files[0].as_posix()} -->\n<!-- /table -->\n")
    assert gen3r("eval", "table", files[0], "--into", document).code == 0
    assert (one / "simple.md").read_text() in document.read_text()


def test_seeds_that_training_may_have_seen_are_refused(tmp_path: Path, gen3r: Runner) -> None:
    refused = gen3r("eval", "tables", "--out", tmp_path / "out", "--seed-start", 5, "--count", 1)
    assert (refused.code, "--allow-any-split" in refused.stderr) == (2, True)
    both = gen3r("eval", "tables", "--out", tmp_path / "out", "--data", "synthetic", tmp_path)
    assert (both.code, "run it twice" in both.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_the_time_left_is_told_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    seen = {10: 0.0, 11: 30.0, 12: 80.0, 14: 100.0, 15: 150.0, 20: 9000.0}
    clock = iter(seen.values())
    told = TimeLeft("clips measured", clock=lambda: next(clock))
    for done in seen:
        told(done, 20)
    assert capsys.readouterr().err.splitlines() == [
        "12 of 20 clips measured, about 5 min left",
        "15 of 20 clips measured, about 2 min left",
    ]
    assert [duration(seconds) for seconds in (59.0, 600.0, 7260.0)] == ["59 s", "10 min", "2 h 01 min"]
