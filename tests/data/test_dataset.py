"""Datasets are read alike from clip folders and from shards."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data.clips import write_full, write_version_1
from data.shards.packed import packed
from gen3r.data.dataset import ClipDataset
from gen3r.data.schema import StoredClip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of both splits, with pictures and with a video, of both versions."""
    folder = tmp_path_factory.mktemp("dataset")
    write_full(folder / "b", seed=1)
    write_full(folder / "a", seed=2, split="held-out")
    write_full(folder / "c.1", seed=3, frames=5, video=True)
    write_version_1(folder / "d")
    return folder


@pytest.fixture(scope="module")
def shards(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(folders, tmp_path_factory.mktemp("shards") / "out")


def assert_same(one: StoredClip, other: StoredClip) -> None:
    every = list(range(one.record.frames))
    assert (one.record, one.captions) == (other.record, other.captions)
    assert torch.equal(one.cameras.extrinsics, other.cameras.extrinsics)
    assert torch.equal(one.cameras.intrinsics, other.cameras.intrinsics)
    assert torch.equal(one.rgb(every), other.rgb(every))
    for first, second in ((one.depth(every), other.depth(every)), (one.masks(every), other.masks(every))):
        assert (first is None and second is None) or (
            first is not None and second is not None and torch.equal(first, second)
        )


def test_shards_equal_folders_in_every_field(folders: Path, shards: Path) -> None:
    one, other = ClipDataset.open(folders), ClipDataset.open(shards)
    assert one.names == other.names == ("a", "b", "c.1", "d")
    assert one.records == other.records
    for first, second in zip(one, other, strict=True):
        assert_same(first, second)


@pytest.mark.parametrize("kind", ["folders", "shards"])
def test_a_split_can_be_chosen(kind: str, request: pytest.FixtureRequest) -> None:
    place = request.getfixturevalue(kind)
    assert ClipDataset.open(place, split="held-out").names == ("a",)
    with pytest.raises(ValueError, match="no clip of the split 'validation'"):
        ClipDataset.open(place, split="validation")


def test_several_datasets_follow_each_other(folders: Path, shards: Path) -> None:
    clips = ClipDataset.open([shards, folders / "b"])
    assert clips.names == ("a", "b", "c.1", "d", "b")
    assert [clip.name for clip in clips[3:]] == ["d", "b"]
    assert_same(clips[1], clips[-1])


@pytest.mark.parametrize("kind", ["folders", "shards"])
def test_datasets_travel_to_other_processes(kind: str, request: pytest.FixtureRequest) -> None:
    clips = ClipDataset.open(request.getfixturevalue(kind))
    assert_same(pickle.loads(pickle.dumps(clips))[0], clips[0])


def test_a_clip_is_named_as_its_folder(tmp_path: Path) -> None:
    write_full(tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    with pytest.raises(ValueError, match="holds the clip one"):
        ClipDataset.open(tmp_path)


def test_what_is_no_dataset_is_refused(tmp_path: Path, shards: Path) -> None:
    with pytest.raises(ValueError, match="no clip folders"):
        ClipDataset.open(tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        ClipDataset.open(tmp_path / "missing")
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in shards.iterdir():
        (mixed / path.name).symlink_to(path)
    write_full(mixed / "one")
    with pytest.raises(ValueError, match="keep them in folders"):
        ClipDataset.open(mixed)


def test_records_are_known_without_opening_clips(folders: Path) -> None:
    clips = ClipDataset.open(folders)
    assert [record.times for record in clips.records] == [None] * 4
    assert [replace(clip.record, times=None) for clip in clips] == list(clips.records)
    assert clips[0].record.times == (0.0, 0.25, 0.5)
