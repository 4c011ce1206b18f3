"""``gen3r data convert``: what it says, and the report it leaves."""

import json
from pathlib import Path

import pytest

from cli.running import Runner
from data.converters.fixture import make_scene
from data.converters.raw_re10k import write_clip

SCENE = make_scene(frames=3, width=64, height=36)


@pytest.fixture
def gen3r(capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(capsys)


def test_the_report_says_what_became_of_every_scene(gen3r: Runner, tmp_path: Path) -> None:
    raw, clips = tmp_path / "raw", tmp_path / "clips"
    write_clip(raw, SCENE, clip="00000000000000a0", missing=[1])
    write_clip(raw, SCENE, clip="00000000000000a1", missing=[0, 1])
    write_clip(raw, SCENE, clip="00000000000000a2", missing=[0, 1, 2])
    first = gen3r("data", "convert", "re10k", raw, clips)
    assert first.code == 0
    assert "1 scenes converted to 1 clips of 2 frames, 0 there already, 2 skipped" in first.stdout
    assert "00000000000000a1: it has 1 usable frames, at least 2 are wanted" in first.stdout
    report = json.loads((clips / "conversion.json").read_text())
    assert (report["dataset"], report["settings"]["link"], report["there"]) == ("re10k", "copy", {})
    assert report["skipped"].keys() == {"00000000000000a1", "test/00000000000000a2.txt"}
    made = report["converted"]["00000000000000a0"]
    assert (made["clips"], made["frames"], made["split"]) == (["00000000000000a0"], 2, "held-out")
    assert made["notes"] == ["1 cameras without a frame: 42042367"]
    second = gen3r("data", "convert", "re10k", raw, clips, "--limit", "1")
    assert "0 scenes converted to 0 clips of 0 frames, 1 there already" in second.stdout
    assert json.loads((clips / "conversion.json").read_text())["there"] == {"00000000000000a0": made}


def test_a_dry_run_counts_by_split_and_writes_nothing(gen3r: Runner, tmp_path: Path) -> None:
    for clip, split in (("00000000000000a0", "train"), ("00000000000000a1", "train"), ("00000000000000a2", "test")):
        write_clip(tmp_path / "raw", SCENE, clip=clip, split=split)
    told = gen3r("data", "convert", "re10k", tmp_path / "raw", tmp_path / "clips", "--dry-run")
    assert told.code == 0
    assert ["train", "2"] in [line.split() for line in told.stdout.splitlines()]
    assert ["held-out", "1"] in [line.split() for line in told.stdout.splitlines()]
    assert "About 9 frames; their pictures take about" in told.stdout
    assert not (tmp_path / "clips").exists()
    chosen = gen3r(
        "data", "convert", "re10k", tmp_path / "raw", tmp_path / "clips", "--dry-run", "--splits", "held-out"
    )
    assert "1 scenes to convert" in chosen.stdout


def test_mistakes_end_in_one_line_that_says_what_to_do(gen3r: Runner, tmp_path: Path) -> None:
    unknown = gen3r("data", "convert", "tartenair", tmp_path, tmp_path / "clips")
    assert (unknown.code, "did you mean tartanair?" in unknown.stderr) == (2, True)
    alone = gen3r("data", "convert", "tartanair")
    assert (alone.code, "get the data from: https://" in alone.stderr) == (2, True)
    (tmp_path / "raw").mkdir()
    other = gen3r("data", "convert", "tartanair", tmp_path / "raw", tmp_path / "clips")
    assert (other.code, "is no TartanAir: expected folders such as" in other.stderr) == (2, True)
    write_clip(tmp_path / "raw", SCENE, missing=[0, 1, 2])
    nothing = gen3r("data", "convert", "re10k", tmp_path / "raw", tmp_path / "clips")
    assert (nothing.code, "no scene of" in nothing.stderr) == (2, True)
    assert not list((tmp_path / "clips").glob("*/scene.json"))


def test_the_list_tells_licence_and_source_of_every_dataset(gen3r: Runner) -> None:
    told = gen3r("data", "convert", "list")
    assert told.code == 0
    for name in ("realestate10k", "waymo", "nerfstudio"):
        assert name in told.stdout
    assert "Waymo Dataset License Agreement for Non-Commercial Use" in told.stdout
