"""``gen3r data check`` lists bad clips, exits with 1 for them, and can be stopped."""

import json
from pathlib import Path

import pytest
from PIL import Image

from cli.running import Runner
from data.clips import random_clip
from gen3r.data.checking.run import CheckClip, CheckConfig
from gen3r.data.schema import write_clip


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three clips of one frame, one of which cannot be read."""
    folder = tmp_path / "clips"
    for name in ("a", "b", "c"):
        write_clip(random_clip(frames=1), folder / name, split="train", source="tests", licence="CC0-1.0")
    (folder / "b" / "depth" / "frame00000.png").write_bytes(b"nothing")
    return folder


def test_bad_clips_are_listed_with_reasons(clips: Path, tmp_path: Path, gen3r: Runner) -> None:
    outcome = gen3r("data", "check", clips, "--min-frames", 1, "--list", tmp_path / "bad.txt")
    assert outcome.code == 1
    assert "3 checked, 1 bad, 1 unreadable" in outcome.stdout
    assert "depth/frame00000.png" in outcome.stdout
    assert (tmp_path / "bad.txt").read_text() == "b\n"
    report = json.loads((clips / "check.json").read_text())
    assert (report["checked"], report["bad"], report["reasons"]) == (3, 1, {"unreadable": 1})
    assert report["thresholds"]["least_frames"] == 1
    assert [clip["clip"] for clip in report["clips"]] == ["a", "b", "c"]
    assert sorted(path.name for path in clips.iterdir()) == ["a", "b", "c", "check.json"]


def test_a_damaged_record_is_one_bad_clip(clips: Path, gen3r: Runner) -> None:
    (clips / "a" / "scene.json").write_text("{")
    (clips / "c").rename(clips / "d")
    outcome = gen3r("data", "check", clips, "--min-frames", 1)
    assert outcome.code == 1
    assert "3 checked, 3 bad, 3 unreadable" in outcome.stdout
    assert "holds the clip c" in outcome.stdout


def test_bad_clips_can_be_moved_and_left_out(clips: Path, tmp_path: Path, gen3r: Runner) -> None:
    gen3r("data", "check", clips, "--min-frames", 1, "--list", tmp_path / "bad.txt")
    assert gen3r("data", "pack", clips, tmp_path / "shards", "--leave-out", tmp_path / "bad.txt").code == 0
    assert gen3r("data", "check", tmp_path / "shards", "--min-frames", 1).code == 0
    moved = gen3r("data", "check", clips, "--min-frames", 1, "--move-bad", tmp_path / "bad")
    assert (moved.code, [path.name for path in (tmp_path / "bad").iterdir()]) == (1, ["b"])
    assert gen3r("data", "check", clips, "--min-frames", 1).code == 0


def test_a_damaged_shard_is_found(clips: Path, tmp_path: Path, gen3r: Runner) -> None:
    gen3r("data", "pack", clips, tmp_path / "shards")
    shard = tmp_path / "shards" / "train-00000.tar"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1  # in the padding: no file of any clip notices
    shard.write_bytes(content)
    outcome = gen3r("data", "check", tmp_path / "shards", "--min-frames", 1)
    assert outcome.code == 1
    assert "damaged shard" in outcome.stdout


def test_a_stopped_check_goes_on(clips: Path, gen3r: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    original, seen = CheckClip.__call__, []

    def stopped(unit: CheckClip, item: dict[str, object]) -> dict[str, object]:
        seen.append(item["key"])
        if len(seen) == 2:
            raise KeyboardInterrupt
        return original(unit, item)

    monkeypatch.setattr(CheckClip, "__call__", stopped)
    assert gen3r("data", "check", clips, "--min-frames", 1).code == 130
    assert gen3r("data", "check", clips, "--min-frames", 1).code == 1
    assert seen == ["a", "b", "b", "c"]


def test_settings_travel_as_json(tmp_path: Path) -> None:
    settings = CheckConfig(dataset=tmp_path).settings()
    assert json.loads(json.dumps(settings)) == settings


def test_shards_cannot_be_moved(clips: Path, tmp_path: Path, gen3r: Runner) -> None:
    gen3r("data", "pack", clips, tmp_path / "shards")
    outcome = gen3r("data", "check", tmp_path / "shards", "--move-bad", tmp_path / "bad")
    assert (outcome.code, "--move-bad moves clip folders" in outcome.stderr) == (2, True)


def test_what_is_no_dataset_is_refused(tmp_path: Path, gen3r: Runner) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    assert gen3r("data", "check", tmp_path).code == 2
    assert gen3r("data", "check", tmp_path / "missing").code == 2


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder where nobody can write")
def test_a_dataset_that_cannot_be_written_is_told_at_once(gen3r: Runner) -> None:
    outcome = gen3r("data", "check", "/proc/self")
    assert (outcome.code, "--report FILE.json" in outcome.stderr) == (2, True)
