"""WildRGB-D: column-major intrinsics, camera-to-world poses and millimetres, each of which must matter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.converters.fixture import check_converted, make_scene, snapshot
from data.converters.raw_wildrgbd import write_lists, write_wildrgbd
from data.converters.whole_dataset import convert
from gen3r.data.converters.wildrgbd import CONVERTER
from gen3r.data.converting.raw import ConvertOptions

SCENE = make_scene(frames=6, width=64, height=48)
SHORT = replace(SCENE, world_from_camera=SCENE.world_from_camera[:2])
NAME = "cup-scene_000"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("wildrgbd")
    write_wildrgbd(root, SCENE)
    return root


def test_dots_and_depth_are_where_the_cameras_say(raw: Path, tmp_path: Path) -> None:
    before = snapshot(raw)
    made = convert(CONVERTER, raw, tmp_path / "clips")
    check_converted(made.clips[NAME], SCENE, scale_free=False, depth_tolerance=3e-4)  # a millimetre at 3 m
    record = made.record(NAME)
    assert (record["source"], record["scale_kind"], record["split"]) == ("wildrgbd", "metric", "train")
    assert record["masks"] == "foreground"
    assert record["labels"] == {"category": "cup"}
    assert snapshot(raw) == before
    again = snapshot(tmp_path / "clips")
    convert(CONVERTER, raw, tmp_path / "clips")
    assert snapshot(tmp_path / "clips") == again


def test_what_was_found_is_counted_without_opening_pictures(raw: Path) -> None:
    (found,) = CONVERTER.find(raw, ConvertOptions()).scenes
    assert found.frames == SCENE.frames
    assert found.size is not None
    assert found.size > 0


@pytest.mark.parametrize("mistake", [{"inverted": True}, {"flip": np.diag([1.0, -1, -1, 1])}], ids=str)
def test_wrong_poses_are_noticed(raw: Path, tmp_path: Path, mistake: dict) -> None:
    made = convert(CONVERTER, raw, tmp_path)
    with pytest.raises(AssertionError):
        check_converted(made.clips[NAME], SCENE, scale_free=False, **mistake)


def test_row_major_intrinsics_are_noticed(tmp_path: Path) -> None:
    write_wildrgbd(tmp_path / "raw", SCENE, row_major=True)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    if made.clips:  # else they were refused, which is noticing as well
        with pytest.raises(AssertionError):
            check_converted(made.clips[NAME], SCENE, scale_free=False)
    else:
        assert NAME in made.refused


def test_only_what_both_lists_train_on_is_trained_on(tmp_path: Path) -> None:
    for index in range(4):
        write_wildrgbd(tmp_path / "raw", SHORT, folder=f"scene_{index:03d}")
    names = [f"scenes/scene_{index:03d}" for index in range(4)]
    write_lists(
        tmp_path / "raw",
        "cup",
        nvs_list={"train": [names[0], names[1], names[3]], "val": [names[2]]},
        camera_eval_list={"train": [names[0], names[2]], "val": [names[1]]},
    )
    findings = CONVERTER.find(tmp_path / "raw", ConvertOptions())
    assert [found.split for found in findings.scenes] == ["train", "held-out", "held-out", "held-out"]
    assert findings.problems == ()


def test_a_missing_list_is_told_and_noted(tmp_path: Path) -> None:
    write_wildrgbd(tmp_path / "raw", SHORT)
    write_wildrgbd(tmp_path / "raw", SHORT, folder="scene_001")
    write_lists(tmp_path / "raw", "cup", nvs_list={"train": ["scenes/scene_000"], "val": []})
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert made.splits == {"cup-scene_000": "train", "cup-scene_001": "held-out"}
    (problem,) = made.findings.problems
    assert (problem.place, "no camera_eval_list.json" in problem.reason) == ("cup", True)
    assert problem.reason in made.record("cup-scene_000")["notes"]


@pytest.mark.parametrize("content", ['{"train": 3}', "{", "[]", '{"train": ["scenes/a"]}', '{"train": [1], "val": []}'])
def test_a_damaged_list_costs_its_category_alone(tmp_path: Path, content: str) -> None:
    write_wildrgbd(tmp_path, SHORT)
    write_wildrgbd(tmp_path, SHORT, category="hat")
    (tmp_path / "cup" / "nvs_list.json").write_text(content)
    findings = CONVERTER.find(tmp_path, ConvertOptions())
    assert [found.name for found in findings.scenes] == ["hat-scene_000"]
    assert "nvs_list.json" in {problem.place: problem.reason for problem in findings.problems}["cup"]


def test_damaged_and_missing_files_are_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    good = write_wildrgbd(raw, SCENE)
    lines = (good / "cam_poses.txt").read_text().splitlines()
    (good / "cam_poses.txt").write_text("\n".join([lines[0], lines[1][:40], *lines[2:]]) + "\n")
    (good / "rgb" / "00005.png").unlink()
    broken = write_wildrgbd(raw, SCENE, folder="scene_001")
    (broken / "metadata").write_text("{")
    endless = write_wildrgbd(raw, SHORT, folder="scene_003")
    (endless / "metadata").write_text((endless / "metadata").read_text().replace('"w": 64', '"w": 1e400'))
    bare = write_wildrgbd(raw, SCENE, folder="scene_002")
    (bare / "cam_poses.txt").unlink()
    made = convert(CONVERTER, raw, tmp_path / "clips")
    check_converted(made.clips[NAME], SCENE, scale_free=False, frames=[0, 2, 3, 4])
    assert any("1, 5" in note for note in made.record(NAME)["notes"])
    assert "metadata" in made.refused["cup-scene_001"]
    assert "metadata" in made.refused["cup-scene_003"]
    assert {Path(problem.place).name for problem in made.findings.problems} == {"scene_002", "cup"}


def test_another_folder_is_refused_saying_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cam_poses\.txt"):
        CONVERTER.find(tmp_path, ConvertOptions())
