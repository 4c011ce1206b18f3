"""ACID: RealEstate10K's form, with official folders or none."""

from collections import Counter
from pathlib import Path

from data.converters.fixture import check_converted, make_scene
from data.converters.raw_acid import write_flat
from data.converters.raw_re10k import write_clip
from data.converters.whole_dataset import convert
from gen3r.data.converters.acid import CONVERTER
from gen3r.data.converters.timed_clips import split_of_place

SCENE = make_scene(frames=3, width=64, height=36)
CLIPS = ["00000000000000a0", "00000000000000a1", "00000000000000a2"]


def test_a_flat_folder_is_split_the_same_way_on_every_run(tmp_path: Path) -> None:
    write_flat(tmp_path / "raw", SCENE, CLIPS)
    first = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    for clip in CLIPS:
        check_converted(first.clips[clip], SCENE, scale_free=True)
        assert "by a hash of its name" in " ".join(first.record(clip)["notes"])
    again = convert(CONVERTER, tmp_path / "raw", tmp_path / "again")
    write_flat(tmp_path / "one", SCENE, CLIPS[1:2])
    alone = convert(CONVERTER, tmp_path / "one", tmp_path / "alone")
    assert first.splits == again.splits
    assert alone.splits == {CLIPS[1]: first.splits[CLIPS[1]]}


def test_about_a_tenth_of_a_flat_folder_is_held_out() -> None:
    splits = Counter(split_of_place(Path("x.txt"), f"{number:016x}") for number in range(2000))
    assert set(splits) == {"train", "held-out"}
    assert 160 < splits["held-out"] < 240


def test_official_folders_are_the_splits(tmp_path: Path) -> None:
    for clip, split in zip(CLIPS, ("train", "validation", "test"), strict=True):
        write_clip(tmp_path / "raw" / "acid", SCENE, split=split, clip=clip)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert made.splits == dict(zip(CLIPS, ("train", "validation", "held-out"), strict=True))
    assert made.record(CLIPS[0])["source"] == "acid"
    assert made.record(CLIPS[0])["notes"] == []
