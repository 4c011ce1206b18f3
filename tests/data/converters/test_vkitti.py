"""Virtual KITTI 2: world-to-camera poses, half a pixel, centimetres, two layouts and two cameras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.converters.fixture import check_converted, make_scene
from data.converters.raw_vkitti import BASELINE, right_camera, write_vkitti
from data.converters.whole_dataset import convert
from gen3r.data.converters.vkitti import CONVERTER
from gen3r.data.converting.raw import ConvertOptions

SCENE = make_scene(frames=6, width=124, height=40)
SHORT = replace(SCENE, world_from_camera=SCENE.world_from_camera[:2])
LEFT, RIGHT = "Scene01-clone-Camera_0", "Scene01-clone-Camera_1"


@pytest.fixture(scope="module", params=[True, False], ids=["one tree", "a folder per archive"])
def raw(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("vkitti")
    write_vkitti(root, SCENE, one_tree=request.param)
    return root


def test_both_cameras_show_the_dots_and_their_depth(raw: Path, tmp_path: Path) -> None:
    made = convert(CONVERTER, raw, tmp_path)
    assert list(made.clips) == [LEFT, RIGHT]
    # Centimetres are 0.2 % of the nearest dot's depth.
    check_converted(made.clips[LEFT], SCENE, scale_free=False, depth_tolerance=4e-3)
    check_converted(made.clips[RIGHT], right_camera(SCENE), scale_free=False, depth_tolerance=4e-3)
    record = made.record(LEFT)
    assert (record["source"], record["scale_kind"]) == ("vkitti", "metric")
    assert record["times"] is None


def test_camera_1_is_a_baseline_to_the_right(raw: Path) -> None:
    options = ConvertOptions()
    scenes = [CONVERTER.read(raw, found, options) for found in CONVERTER.find(raw, options).scenes]
    for left, right in zip(scenes[0].frames, scenes[1].frames, strict=True):
        aside = np.linalg.inv(left.camera.world_from_camera) @ right.camera.world_from_camera
        np.testing.assert_allclose(aside[:3, 3], [BASELINE, 0, 0], atol=1e-9)


def test_depth_is_in_metres_and_the_sky_has_none(raw: Path) -> None:
    found = CONVERTER.find(raw, ConvertOptions()).scenes[0]
    frame = CONVERTER.read(raw, found, ConvertOptions()).frames[0]
    assert frame.depth is not None
    depth = frame.depth()
    assert depth[0, 0] == 0
    nearest, farthest = SCENE.camera_points(0)[:, 2].min(), SCENE.camera_points(0)[:, 2].max()
    assert nearest - 0.01 < depth[depth > 0].min() < depth.max() < farthest + 0.01


@pytest.mark.parametrize("mistake", [{"inverted": True}, {"flip": np.diag([1.0, -1, -1, 1])}], ids=str)
def test_wrong_poses_are_noticed(raw: Path, tmp_path: Path, mistake: dict) -> None:
    made = convert(CONVERTER, raw, tmp_path, cameras=("0",))
    with pytest.raises(AssertionError):
        check_converted(made.clips[LEFT], SCENE, scale_free=False, **mistake)


def test_poses_written_as_some_believe_them_to_be_are_noticed(tmp_path: Path) -> None:
    write_vkitti(tmp_path / "raw", SCENE, inverted=True)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError):
        check_converted(made.clips[LEFT], SCENE, scale_free=False)


def test_the_half_pixel_matters(raw: Path, tmp_path: Path) -> None:
    made = convert(CONVERTER, raw, tmp_path, cameras=("Camera_0",))
    assert list(made.clips) == [LEFT]
    path = made.clips[LEFT] / "cameras.json"
    center = SCENE.intrinsics[0, 2]
    text = path.read_text()
    assert str(center) in text
    path.write_text(text.replace(str(center), str(center - 0.5)))
    with pytest.raises(AssertionError, match="should be at"):
        check_converted(made.clips[LEFT], SCENE, scale_free=False)


def test_all_variations_of_a_scene_are_on_one_side(tmp_path: Path) -> None:
    for drive in ("Scene01", "Scene20"):
        for variation in ("clone", "fog", "15-deg-left"):
            write_vkitti(tmp_path / "raw", SHORT, drive=drive, variation=variation)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert len(made.clips) == 12
    assert {name.split("-")[0]: split for name, split in made.splits.items()} == {
        "Scene01": "train",
        "Scene20": "held-out",
    }
    assert all(split == "held-out" for name, split in made.splits.items() if name.startswith("Scene20"))
    assert made.record("Scene01-fog-Camera_1")["labels"] == {"category": "street", "weather": "foggy"}


def test_damaged_and_missing_files_are_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_vkitti(raw, SCENE)
    text = raw / "Scene01" / "clone"
    lines = (text / "extrinsic.txt").read_text().splitlines()
    lines[3] = lines[3][:50]  # frame 1 of camera 0
    (text / "extrinsic.txt").write_text("\n".join(lines) + "\n")
    (text / "frames" / "rgb" / "Camera_0" / "rgb_00004.jpg").unlink()
    (text / "frames" / "rgb" / "Camera_0" / "rgb_00000.jpg").write_bytes(b"\xff\xd8 no picture")
    (raw / "Scene02" / "clone" / "frames" / "rgb" / "Camera_0").mkdir(parents=True)
    made = convert(CONVERTER, raw, tmp_path / "clips")
    check_converted(made.clips[LEFT], SCENE, scale_free=False, frames=[2, 3, 5], depth_tolerance=4e-3)
    check_converted(made.clips[RIGHT], right_camera(SCENE), scale_free=False, depth_tolerance=4e-3)
    assert any("damaged lines 4" in note for note in made.record(LEFT)["notes"])
    assert [problem.place for problem in made.findings.problems] == ["Scene02/clone"]


def test_what_it_does_not_have_is_refused(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Camera_0 and Camera_1"):
        CONVERTER.find(raw, ConvertOptions(cameras=("2",)))
    with pytest.raises(ValueError, match="Unpack vkitti_2"):
        CONVERTER.find(tmp_path, ConvertOptions())
