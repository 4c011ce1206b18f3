"""ScanNet++: fisheye or straightened pictures, marked frames, test views apart, lists of splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.converters.fixture import check_converted, make_scene
from data.converters.raw_scannetpp import BAD, write_scannetpp, write_splits
from data.converters.whole_dataset import convert
from gen3r.data.converters.scannetpp import CONVERTER
from gen3r.data.converting.raw import ConvertOptions

SCENE = make_scene(frames=8, width=64, height=48)
NAME = "0a5c013435"
KEPT = [frame for frame in range(6) if frame != BAD]


@pytest.mark.parametrize("straight", [False, True], ids=["fisheye", "straightened"])
def test_dots_are_where_the_straight_cameras_say(tmp_path: Path, straight: bool) -> None:
    write_scannetpp(tmp_path / "raw", SCENE, straight=straight)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[NAME], SCENE, scale_free=False, frames=KEPT)
    record = made.record(NAME)
    assert (record["scale_kind"], record["masks"], record["split"]) == ("metric", "valid", "train")
    assert any("is_bad" in note for note in record["notes"])
    with pytest.raises(AssertionError):
        check_converted(made.clips[NAME], SCENE, scale_free=False, frames=KEPT, flip=np.diag([1.0, -1, -1, 1]))


def test_straightened_pictures_are_preferred_and_test_views_are_held_out(tmp_path: Path) -> None:
    write_scannetpp(tmp_path / "raw", SCENE)
    write_scannetpp(tmp_path / "raw", SCENE, straight=True)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", include_benchmarks=True)
    assert made.splits == {NAME: "train", f"{NAME}-test-views": "held-out"}
    picture = made.clips[NAME] / "frames" / "frame00000.jpg"
    original = tmp_path / "raw" / "data" / NAME / "dslr" / "resized_undistorted_images" / "DSC00001.JPG"
    assert picture.read_bytes() == original.read_bytes()
    check_converted(made.clips[f"{NAME}-test-views"], SCENE, scale_free=False, frames=[6, 7])


def test_splits_are_those_of_the_lists(tmp_path: Path) -> None:
    for name in "abcd":
        write_scannetpp(tmp_path, SCENE, name)
    write_splits(tmp_path, nvs_sem_train=["a"], nvs_sem_val=["b"], nvs_test=["c"])
    expected = {"a": "train", "b": "validation", "c": "held-out", "d": "train"}
    for source in (tmp_path, tmp_path / "data"):
        assert {found.name: found.split for found in CONVERTER.find(source, ConvertOptions()).scenes} == expected
    (alone,) = CONVERTER.find(tmp_path / "data" / "b", ConvertOptions()).scenes
    assert (alone.name, alone.split) == ("b", "validation")


def test_missing_lists_are_told_and_noted_and_damaged_ones_refused(tmp_path: Path) -> None:
    write_scannetpp(tmp_path / "raw", SCENE, "a")
    write_splits(tmp_path / "raw", nvs_sem_train=["a"], nvs_sem_val=["b"])
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    (problem,) = made.findings.problems
    assert (problem.place, "no splits/nvs_*test.txt" in problem.reason) == ("splits", True)
    assert problem.reason in made.record("a")["notes"]
    for damaged in (b"", b"\xff\xfe\x00"):
        (tmp_path / "raw" / "splits" / "nvs_test.txt").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"nvs_test\.txt is (damaged|empty)"):
            CONVERTER.find(tmp_path / "raw", ConvertOptions())


def test_scenes_without_pictures_are_told(tmp_path: Path) -> None:
    folder = write_scannetpp(tmp_path, SCENE)
    for picture in (folder / "dslr" / "resized_images").iterdir():
        picture.unlink()
    findings = CONVERTER.find(tmp_path, ConvertOptions())
    assert not findings.scenes
    assert any("resized_images" in problem.reason for problem in findings.problems)
    with pytest.raises(ValueError, match="dslr/nerfstudio"):
        CONVERTER.find(folder / "dslr" / "resized_images", ConvertOptions())
