"""``gen3r data show``, ``pack``, ``unpack`` and ``official`` on a small dataset."""

import json
from pathlib import Path

import pytest

from cli.running import Runner
from data.clips import write_full
from gen3r.data.dataset import ClipDataset


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_full(folder / "a", seed=1)
    write_full(folder / "b", seed=2, frames=4, split="validation")
    return folder


def test_a_dataset_is_shown_by_source_and_split(clips: Path, gen3r: Runner) -> None:
    rows = json.loads(gen3r("data", "show", clips, "--json").stdout)
    assert [(row["split"], row["clips"], row["frames"], row["size"]) for row in rows] == [
        ("train", 1, "3", "24x32"),
        ("validation", 1, "4", "24x32"),
    ]
    table = gen3r("data", "show", clips).stdout
    assert "CC0-1.0" in table


def test_packing_and_unpacking(clips: Path, tmp_path: Path, gen3r: Runner) -> None:
    packed = gen3r("data", "pack", clips, tmp_path / "shards")
    assert packed.code == 0
    assert "train-index.jsonl" in packed.stdout
    assert ClipDataset.open(tmp_path / "shards").names == ("a", "b")
    assert gen3r("data", "unpack", tmp_path / "shards", tmp_path / "again").code == 0
    assert ClipDataset.open(tmp_path / "again").records == ClipDataset.open(clips).records
    assert gen3r("data", "pack", clips, tmp_path / "shards").code == 2


def test_only_some_splits(clips: Path, tmp_path: Path, gen3r: Runner) -> None:
    assert gen3r("data", "pack", clips, tmp_path / "shards", "--splits", "validation").code == 0
    assert ClipDataset.open(tmp_path / "shards").names == ("b",)


def test_a_clip_that_cannot_be_packed_is_named_and_mended(tmp_path: Path, gen3r: Runner) -> None:
    write_full(tmp_path / "clips" / "a")
    path = tmp_path / "clips" / "a" / "cameras.json"
    content = path.read_bytes()
    path.unlink()
    failed = gen3r("data", "pack", tmp_path / "clips", tmp_path / "shards")
    assert failed.code == 2
    assert "lacks cameras.json" in failed.stdout
    path.write_bytes(content)
    assert gen3r("data", "pack", tmp_path / "clips", tmp_path / "shards").code == 0


def test_official_layout_and_back(clips: Path, tmp_path: Path, gen3r: Runner) -> None:
    written = gen3r("data", "official", "to", clips, tmp_path / "official", "--name", "dl3dv")
    assert written.code == 0
    assert (tmp_path / "official" / "dl3dv" / "train_videos_dirs.txt").is_file()
    assert gen3r("data", "official", "from", tmp_path / "official", tmp_path / "back").code == 0
    assert ClipDataset.open(tmp_path / "back" / "dl3dv").names == ("a", "b")
