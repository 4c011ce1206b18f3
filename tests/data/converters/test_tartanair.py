"""TartanAir: axes north-east-down, quaternions, constant intrinsics, z-depth of any float type."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.converters.fixture import check_converted
from data.converters.raw_tartanair import field_of_90_degrees, write_trajectory
from data.converters.whole_dataset import convert
from gen3r.data.converters.tartanair import CONVERTER
from gen3r.data.converting.raw import ConvertOptions

SCENE = field_of_90_degrees()
NAME = "oldtown-Easy-P000"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tartanair")
    write_trajectory(root, SCENE)
    return root


@pytest.mark.parametrize("depth_type", [np.float16, np.float32, np.float64])
def test_dots_and_depth_are_where_the_cameras_say(tmp_path: Path, depth_type: type) -> None:
    write_trajectory(tmp_path / "raw", SCENE, depth_type=depth_type)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[NAME], SCENE, scale_free=False)
    record = made.record(NAME)
    assert (record["source"], record["scale_kind"], record["split"]) == ("tartanair", "metric", "train")
    assert record["labels"] == {"environment": "an old town"}
    captions = (made.clips[NAME] / "captions.txt").read_text()
    assert "an old town" in captions
    assert record["caption_kind"] == "template"


def test_the_sky_has_no_depth(raw: Path) -> None:
    (found,) = CONVERTER.find(raw, ConvertOptions()).scenes
    frame = CONVERTER.read(raw, found, ConvertOptions()).frames[0]
    assert frame.depth is not None
    depth = frame.depth()
    farthest = SCENE.camera_points(0)[:, 2].max()
    assert depth[0, 0] == 0
    assert depth.max() == pytest.approx(farthest, rel=1e-5)


def test_a_body_that_goes_ahead_moves_along_z(tmp_path: Path) -> None:
    ahead = np.tile(np.eye(4), (2, 1, 1))
    ahead[1, 2, 3] = 0.4
    write_trajectory(tmp_path, replace(SCENE, world_from_camera=ahead))
    (found,) = CONVERTER.find(tmp_path, ConvertOptions()).scenes
    first, second = (
        frame.camera.world_from_camera for frame in CONVERTER.read(tmp_path, found, ConvertOptions()).frames
    )
    np.testing.assert_allclose((np.linalg.inv(first) @ second)[:3, 3], [0, 0, 0.4], atol=1e-6)


@pytest.mark.parametrize(
    "mistake",
    [
        {"inverted": True},
        {"flip": np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])},
        {"flip": np.diag([1.0, -1, -1, 1])},
    ],
    ids=str,
)
def test_wrong_poses_are_noticed(raw: Path, tmp_path: Path, mistake: dict) -> None:
    made = convert(CONVERTER, raw, tmp_path)
    with pytest.raises(AssertionError):
        check_converted(made.clips[NAME], SCENE, scale_free=False, **mistake)


@pytest.mark.parametrize("mistake", ["inverted", "without_axes"])
def test_files_of_another_convention_are_noticed(tmp_path: Path, mistake: str) -> None:
    write_trajectory(tmp_path / "raw", SCENE, **{mistake: True})
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError):
        check_converted(made.clips[NAME], SCENE, scale_free=False)


def test_doubled_folders_and_both_cameras(tmp_path: Path) -> None:
    for camera in ("left", "right"):
        write_trajectory(tmp_path / "raw", SCENE, place="oldtown/oldtown/Hard/P003", camera=camera)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", cameras=("left", "right"))
    assert list(made.clips) == ["oldtown-Hard-P003", "oldtown-Hard-P003-right"]
    inside = convert(CONVERTER, tmp_path / "raw" / "oldtown" / "oldtown" / "Hard", tmp_path / "inside")
    assert list(inside.clips) == ["oldtown-Hard-P003"]


def test_damaged_and_missing_files_are_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    folder = write_trajectory(tmp_path / "raw", SCENE)
    (folder / "image_left" / "000000_left.png").write_bytes(b"")
    (folder / "depth_left" / "000002_left_depth.npy").write_bytes(b"")
    poses = (folder / "pose_left.txt").read_text().splitlines()
    poses[4] = "1 2 3 0 0 0 0"
    (folder / "pose_left.txt").write_text("\n".join(poses[:7]))
    (tmp_path / "raw/ocean/Easy/P001").mkdir(parents=True)
    (tmp_path / "raw/ocean/Easy/P001/pose_left.txt").touch()
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[NAME], SCENE, scale_free=False, frames=[1, 3, 5, 6])
    notes = " ".join(made.record(NAME)["notes"])
    assert "numbers without picture or pose: 7" in notes
    for frame, reason in ((0, "the picture cannot be read"), (2, "the depth cannot be read"), (4, "its camera is not")):
        assert f"left out frame {frame}: {reason}" in notes
    (problem,) = made.findings.problems
    assert (problem.place, "unpack image_left.zip" in problem.reason) == ("ocean/Easy/P001", True)


def test_version_2_and_other_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "two/AbandonedFactory/Data_easy/P000/image_lcam_front").mkdir(parents=True)
    with pytest.raises(ValueError, match="version 2 of TartanAir"):
        CONVERTER.find(tmp_path / "two", ConvertOptions())
    (tmp_path / "else").mkdir()
    with pytest.raises(ValueError, match="is no TartanAir: expected folders such as"):
        CONVERTER.find(tmp_path / "else", ConvertOptions())
    with pytest.raises(ValueError, match="left and right, got top"):
        CONVERTER.find(tmp_path / "else", ConvertOptions(cameras=("top",)))
