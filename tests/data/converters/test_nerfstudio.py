"""nerfstudio projects: OpenGL axes, lenses by model, depth in millimetres, masks, Blender's files of splits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.converters.fixture import check_converted, make_scene, snapshot
from data.converters.raw_nerfstudio import write_blender, write_nerfstudio
from data.converters.raw_transforms import brown, fisheye
from data.converters.whole_dataset import convert
from gen3r.data.converters.nerfstudio import CONVERTER
from gen3r.data.converting.raw import ConvertOptions

SCENE = make_scene(frames=5, width=64, height=48)
SMALL = make_scene(frames=3, width=64, height=48)
OPENCV = {"k1": -0.05, "k2": 0.02, "p1": 0.003, "p2": -0.002}
FISHEYE = {"k1": 0.02, "k2": -0.01, "k3": 0.003, "k4": 0.001}


def test_dots_depth_and_masks_are_where_the_cameras_say(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path / "raw", SCENE, depth=True, masks=True)
    before = snapshot(tmp_path / "raw")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips["raw"], SCENE, scale_free=False)
    record = made.record("raw")
    assert (record["scale_kind"], record["split"], record["masks"]) == ("unknown", "train", "valid")
    assert record["depth_scale"] is not None
    assert snapshot(tmp_path / "raw") == before


@pytest.mark.parametrize(
    ("bend", "keys"),
    [
        (brown(**OPENCV), {"camera_model": "OPENCV", **OPENCV}),
        (brown(**OPENCV, k3=0.01), {**OPENCV, "k3": 0.01}),
        (fisheye(**FISHEYE), {"camera_model": "OPENCV_FISHEYE", **FISHEYE}),
        (fisheye(**FISHEYE), {"is_fisheye": True, **FISHEYE}),
    ],
    ids=["opencv", "no model", "fisheye", "instant-ngp's fisheye"],
)
def test_lenses_are_removed(tmp_path: Path, bend, keys: dict) -> None:
    write_nerfstudio(tmp_path / "raw", SCENE, bend=bend, masks=True, **keys)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips["raw"], SCENE, scale_free=False)


@pytest.mark.parametrize(
    "wrong",
    [{"camera_model": "OPENCV", **FISHEYE, "k4": 0}, {"camera_convention": "opencv"}],
    ids=["another lens", "another convention"],
)
def test_what_the_file_says_wrongly_is_noticed(tmp_path: Path, wrong: dict) -> None:
    write_nerfstudio(tmp_path / "raw", SCENE, bend=fisheye(**FISHEYE), **wrong)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError):
        check_converted(made.clips["raw"], SCENE, scale_free=False)


@pytest.mark.parametrize("mistake", [{"inverted": True}, {"flip": np.diag([1.0, -1, -1, 1])}], ids=str)
def test_wrong_poses_are_noticed(tmp_path: Path, mistake: dict) -> None:
    write_nerfstudio(tmp_path / "raw", SCENE)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError):
        check_converted(made.clips["raw"], SCENE, scale_free=False, **mistake)


def test_blenders_splits_are_scenes(tmp_path: Path) -> None:
    centred = make_scene(frames=11, width=80, height=60, center=(40, 30))
    write_blender(tmp_path / "raw" / "lego", SMALL, "train")
    write_blender(tmp_path / "raw" / "lego", SMALL, "val")
    write_blender(tmp_path / "raw" / "lego", centred, "test")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert made.splits == {"lego-train": "train", "lego-val": "validation", "lego-test": "held-out"}
    check_converted(made.clips["lego-test"], centred, scale_free=False)  # r_2 before r_10
    assert any("order" in note for note in made.record("lego-train")["notes"])


def test_our_own_files_come_back_in_their_unit(tmp_path: Path) -> None:
    enlarged = SCENE.world_from_camera.copy()
    enlarged[:, :3, 3] *= 4
    write_nerfstudio(
        tmp_path / "raw", SCENE, poses=enlarged, camera_convention="opencv", units_per_scene_unit=4.0, depth=False
    )
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips["raw"], SCENE, scale_free=False)


def test_what_is_missing_is_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    good = write_nerfstudio(raw / "good", SMALL, depth=True, masks=True)
    (good / "images" / "frame_00002.png").unlink()
    (good / "masks" / "frame_00003.png").unlink()
    (raw / "broken").mkdir()
    (raw / "broken" / "transforms.json").write_text("{")
    write_nerfstudio(raw / "panorama", SMALL, camera_model="EQUIRECTANGULAR")
    write_nerfstudio(raw / "rational", SMALL, k4=0.1)
    other = write_nerfstudio(raw / "cropped", SMALL)
    for picture in (other / "images").iterdir():
        Image.open(picture).crop((0, 0, 40, 40)).save(picture)
    made = convert(CONVERTER, raw, tmp_path / "clips")
    assert list(made.clips) == ["good"]
    check_converted(made.clips["good"], SMALL, scale_free=False, frames=[0, 2])
    assert made.record("good")["masks"] is None
    assert made.findings.problems[0].reason.startswith("broken/transforms.json is not valid JSON")
    assert "EQUIRECTANGULAR" in made.refused["panorama"]
    assert "FULL_OPENCV" in made.refused["rational"]
    assert "40x40" in made.refused["cropped"]


def test_pictures_of_another_resolution_scale_the_camera(tmp_path: Path) -> None:
    project = write_nerfstudio(tmp_path / "raw", SMALL)
    content = json.loads((project / "transforms.json").read_text())
    content |= {key: content[key] * 4 for key in ("w", "h", "fl_x", "fl_y", "cx", "cy")}
    (project / "transforms.json").write_text(json.dumps(content))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips["raw"], SMALL, scale_free=False)


def test_endless_names_are_cut(tmp_path: Path) -> None:
    project = write_nerfstudio(tmp_path / "raw", SMALL)
    content = json.loads((project / "transforms.json").read_text())
    for entry in content["frames"]:
        entry["file_path"] = 5000 * "x"
    (project / "transforms.json").write_text(json.dumps(content))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert len(made.refused["raw"]) < 600


@pytest.mark.parametrize("key", ["file_path", "mask_path", "depth_file_path"])
@pytest.mark.parametrize("way", ["absolute", "above", "link"])
def test_files_outside_the_folder_are_refused(tmp_path: Path, key: str, way: str) -> None:
    project = write_nerfstudio(tmp_path / "raw" / "a", SMALL, depth=True, masks=True)
    write_nerfstudio(tmp_path / "raw" / "b", SMALL)
    content = json.loads((project / "transforms.json").read_text())
    entry = content["frames"][1]
    outside = tmp_path / "private.png"
    (project / entry[key]).rename(outside)
    if way == "link":
        (project / entry[key]).symlink_to(outside)
    else:
        entry[key] = str(outside) if way == "absolute" else "../../private.png"
    (project / "transforms.json").write_text(json.dumps(content))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert list(made.clips) == ["b"]
    assert "outside the folder" in made.refused["a"]


def test_another_folder_is_refused_saying_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"transforms\.json"):
        CONVERTER.find(tmp_path, ConvertOptions())
