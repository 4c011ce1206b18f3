import json
from dataclasses import replace
from pathlib import Path

import pytest

from eval.suite.simple import BENCHMARK
from gen3r.eval.suite.benchmark import Needs, SuiteSettings, benchmark_quantities
from gen3r.eval.suite.config import ClipChoice, ModelChoice, SuiteConfig
from gen3r.eval.suite.engine import suite_record, write_results
from gen3r.eval.suite.parts import Part, part_path
from gen3r.eval.suite.plan import SuitePlan, plan_suite
from gen3r.eval.suite.work import MeasureClips
from gen3r.hub.layout import ModelFolder
from prepare.clip_folders import write_dataset

TABLES = {"simple": "eval.suite.simple"}
FRAMES = 5


def config(out: Path, model: Path, clips: ClipChoice | None = None, **changes: object) -> SuiteConfig:
    values = {
        "out": str(out),
        "model": ModelChoice(model=str(model)),
        "clips": clips or ClipChoice(count=2),
        "benchmarks": TABLES,
        "generation": SuiteSettings(steps=1),
        "commit": "abc",
    }
    return SuiteConfig(**values | changes)


def plan(wanted: SuiteConfig) -> SuitePlan:
    return plan_suite(wanted, ModelFolder(path=Path(wanted.model.model), layout="gen3r"))


def measured(wanted: SuiteConfig) -> SuitePlan:
    planned = plan(wanted)
    if items := planned.items():
        unit = MeasureClips(json.loads(json.dumps(wanted.settings())))
        for item in items:
            unit(json.loads(json.dumps(item)))
    return planned


def spoil(path: Path, value: float) -> None:
    """Change the first number of a part, so that it can be told from a fresh one."""
    part = Part.read(path)
    assert part is not None
    clips = {clip: dict(scores) for clip, scores in part.clips.items()}
    next(iter(clips.values()))["copy/psnr"] = value
    replace(part, clips=clips).write(path)


def test_clips_become_a_record_a_table_and_a_picture(tmp_path: Path, model: Path) -> None:
    data = str(write_dataset(tmp_path / "data", 3, frames=FRAMES))
    wanted = config(tmp_path / "out", model, ClipChoice(datasets=(data,), count=2))
    record = write_results(measured(wanted), command="gen3r eval tables")["simple"]
    assert record == json.loads((tmp_path / "out" / "simple.json").read_text())
    assert list(record["clips"]) == ["source0/clip0", "source1/clip1"]
    assert set(record["metrics"]) == set(benchmark_quantities(BENCHMARK))
    for name, interval in record["metrics"].items():
        values = [scores[name] for scores in record["clips"].values()]
        assert interval["mean"] == pytest.approx(sum(values) / 2)
        assert (interval["n"], interval["low"], interval["high"]) == (2, min(values), max(values))
    assert record["settings"]["steps"] == 1
    assert (record["commit"], record["commits"], record["failures"]) == ("abc", ["abc"], [])
    table = (tmp_path / "out" / "simple.md").read_text().splitlines()
    assert table[0] == "| | psnr, dB ↑ | absrel ↓ |"
    assert table[2].startswith("| first frame | ")
    assert table[2].endswith(" |  |")  # no depth in that row
    assert "Absent: lpips (its backbone is not here)." in table
    assert (tmp_path / "out" / "simple.png").read_bytes().startswith(b"\x89PNG")

    part = part_path(tmp_path / "out", "simple", 0)
    spoil(part, 50.0)
    (part.parent / f".{part.name}.1234.partial").write_text("half")  # what kill -9 leaves
    more = measured(config(tmp_path / "out", model, ClipChoice(datasets=(data,))))
    again = suite_record(more, "simple", command="")
    assert again["clips"]["source0/clip0"]["copy/psnr"] == 50.0  # not measured again
    assert again["clips"]["source1/clip1"] == record["clips"]["source1/clip1"]
    assert again["metrics"]["copy/psnr"]["n"] == 3
    part.unlink()
    with pytest.raises(ValueError, match="1 of 3 groups of clips are not measured"):
        suite_record(more, "simple", command="")
    whole = suite_record(measured(more.config), "simple", command="")
    assert whole["clips"]["source0/clip0"] == record["clips"]["source0/clip0"]

    with pytest.raises(ValueError, match=r"settings steps was 1, now 2"):
        plan(replace(wanted, generation=SuiteSettings(steps=2)))
    with pytest.raises(ValueError, match="data kind"):
        plan(replace(wanted, clips=ClipChoice(count=2)))
    with pytest.raises(ValueError, match="commit abc"):
        plan(replace(wanted, commit="def"))
    other = plan_suite(replace(wanted, commit="def"), ModelFolder(path=model, layout="gen3r"), other_commits=True)
    assert suite_record(other, "simple", command="")["commits"] == ["abc"]


def test_stored_clips_that_lack_something_are_left_out_and_counted(tmp_path: Path, model: Path) -> None:
    data = write_dataset(tmp_path / "data", 2, frames=FRAMES)
    bare = write_dataset(tmp_path / "bare", 1, frames=FRAMES, depth=False)
    short = write_dataset(tmp_path / "short", 2, frames=FRAMES - 1)
    (bare / "clip0").rename(bare / "clip7")
    for folder, new in ((bare / "clip7", "clip7"), (short / "clip0", "clip8"), (short / "clip1", "clip9")):
        record = folder / "scene.json"
        name = json.loads(record.read_text())["name"]
        record.write_text(record.read_text().replace(f'"{name}"', f'"{new}"'))
        if folder.name != new:
            folder.rename(folder.parent / new)
    damaged = next((data / "clip1" / "depth").iterdir())
    damaged.write_bytes(b"no picture")
    clips = ClipChoice(datasets=(str(data), str(bare), str(short)))
    planned = measured(config(tmp_path / "out", model, clips, batch=2))
    record = suite_record(planned, "simple", command="")
    assert list(record["clips"]) == ["source0/clip0", "source0/clip7"]
    assert record["data"]["clips"] == 5
    reasons = {why.split(" is ")[-1][:18]: names for why, names in record["left_out"].items()}
    assert reasons.pop("fewer than 5 frame") == ["source0/clip8", "source1/clip9"]
    assert [*reasons.values()] == [["source1/clip1"]]
    assert "absrel" not in "".join(record["clips"]["source0/clip7"])  # no depth, no number
    assert record["metrics"]["gen1/absrel"]["n"] == 1
    assert not planned.items()

    needy = replace(BENCHMARK, needs=Needs(depth=True))
    strict = replace(planned, benchmarks={"simple": needy})
    assert strict.due(needy, planned.groups[1]) == []
    assert {why for clip in planned.clips if (why := clip.lacks(needy.needs))} == {"no depth", "fewer than 5 frames"}


def test_the_other_tables_survive_one_that_breaks(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"broken": "eval.suite.broken", **TABLES}
    wanted = config(tmp_path / "out", model, ClipChoice(count=1), benchmarks=tables)
    with pytest.raises(RuntimeError, match="out of order"):
        measured(wanted)
    assert suite_record(plan(wanted), "simple", command="")["clips"].keys() == {"900000000"}
    assert [item["benchmarks"] for item in plan(wanted).items()] == [["broken"]]
