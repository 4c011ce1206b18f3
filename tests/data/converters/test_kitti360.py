"""KITTI-360: poses of the car to poses of rectified and fisheye cameras, gaps, windows and held-out drives."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.converters.fixture import check_converted, make_scene
from data.converters.raw_kitti360 import BASELINE, drive_name, seen_by, write_calibration, write_drive
from data.converters.whole_dataset import convert
from gen3r.data.converters.kitti360 import CONVERTER, LONGEST
from gen3r.data.converters.kitti360_lenses import MeiLens
from gen3r.data.converting.raw import ConvertOptions, RawCamera, UnusableScene

SCENE = make_scene(frames=8, width=176, height=48, focal=69.0)
SHORT = replace(SCENE, world_from_camera=SCENE.world_from_camera[:2])
FIRST = "drive0000-camera{}-0000000000"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kitti360")
    write_calibration(root, SCENE, fisheyes=True)
    write_drive(root, SCENE, cameras=("00", "01", "02", "03"))
    return root


@pytest.mark.parametrize("camera", ["00", "01"])
def test_rectified_cameras_show_the_dots(raw: Path, tmp_path: Path, camera: str) -> None:
    made = convert(CONVERTER, raw, tmp_path, cameras=(camera,))
    check_converted(made.clips[FIRST.format(camera)], seen_by(camera, SCENE), scale_free=False)
    record = made.record(FIRST.format(camera))
    assert (record["source"], record["scale_kind"], record["split"]) == ("kitti360", "metric", "train")
    np.testing.assert_allclose(np.diff(record["times"]), 0.1, atol=1e-6)


@pytest.mark.parametrize("camera", ["02", "03"])
def test_fisheyes_become_pinholes_that_show_the_dots(raw: Path, tmp_path: Path, camera: str) -> None:
    made = convert(CONVERTER, raw, tmp_path, cameras=(f"image_{camera}",))
    clip = made.clips[FIRST.format(camera)]
    check_converted(clip, seen_by(camera, SCENE), scale_free=False, pixel_tolerance=0.6)
    record = made.record(FIRST.format(camera))
    assert record["height"] == record["width"]


@pytest.mark.parametrize("mistake", [{"inverted": True}, {"flip": np.diag([1.0, -1, -1, 1])}], ids=str)
@pytest.mark.parametrize("camera", ["00", "02"])
def test_wrong_poses_are_noticed(raw: Path, tmp_path: Path, camera: str, mistake: dict) -> None:
    made = convert(CONVERTER, raw, tmp_path, cameras=(camera,))
    with pytest.raises(AssertionError):
        check_converted(made.clips[FIRST.format(camera)], seen_by(camera, SCENE), scale_free=False, **mistake)


def test_world_to_imu_poses_are_noticed(tmp_path: Path) -> None:
    write_calibration(tmp_path / "raw", SCENE)
    write_drive(tmp_path / "raw", SCENE, inverted=True)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", cameras=("00",))
    with pytest.raises(AssertionError):
        check_converted(made.clips[FIRST.format("00")], SCENE, scale_free=False)


def test_either_file_of_poses_gives_the_same_cameras(raw: Path, tmp_path: Path) -> None:
    write_calibration(tmp_path, SCENE, fisheyes=True)
    write_drive(tmp_path, SCENE, cameras=("00", "01", "02"), by_camera=True)
    options = ConvertOptions(cameras=("00", "01", "02"))
    by_imu, by_camera = (
        [CONVERTER.read(root, f, options) for f in CONVERTER.find(root, options).scenes] for root in (raw, tmp_path)
    )
    assert len(by_imu) == len(by_camera) == 3
    for one, other in zip(by_imu, by_camera, strict=True):
        for a, b in zip(one.frames, other.frames, strict=True):
            np.testing.assert_allclose(a.camera.world_from_camera, b.camera.world_from_camera, atol=1e-8)
            np.testing.assert_array_equal(a.camera.intrinsics, b.camera.intrinsics)


def test_camera_1_is_a_baseline_to_the_right(raw: Path) -> None:
    options = ConvertOptions(cameras=("00", "01"))
    left, right = (CONVERTER.read(raw, found, options) for found in CONVERTER.find(raw, options).scenes)
    for a, b in zip(left.frames, right.frames, strict=True):
        aside = np.linalg.inv(a.camera.world_from_camera) @ b.camera.world_from_camera
        np.testing.assert_allclose(aside[:3], np.c_[np.eye(3), [BASELINE, 0, 0]], atol=1e-9)


def test_no_scene_spans_a_gap_and_poses_are_taken_by_frame(tmp_path: Path) -> None:
    scene = make_scene(frames=12, width=176, height=48, focal=69.0)
    write_calibration(tmp_path / "raw", scene)
    write_drive(tmp_path / "raw", scene, posed=[1, 2, 3, 4, 7, 8, 9, 11])
    (tmp_path / "raw" / "data_2d_raw" / drive_name(0) / "image_00" / "data_rect" / "0000000004.png").unlink()
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", cameras=("00",))
    assert list(made.clips) == ["drive0000-camera00-0000000001", "drive0000-camera00-0000000007"]
    for name, frames in zip(made.clips, ([1, 2, 3], [7, 8, 9]), strict=True):
        check_converted(made.clips[name], scene, scale_free=False, frames=frames)
    assert [problem.reason for problem in made.findings.problems] == [
        "frames without a neighbour that has picture and pose: 11"
    ]


def test_long_stretches_are_divided_evenly(tmp_path: Path) -> None:
    scene = replace(SCENE, world_from_camera=SCENE.world_from_camera[:1])
    write_calibration(tmp_path, scene)
    write_drive(tmp_path, scene, cameras=("00",))
    pictures = tmp_path / "data_2d_raw" / drive_name(0) / "image_00" / "data_rect"
    row = (tmp_path / "data_poses" / drive_name(0) / "poses.txt").read_text().split()[1:]
    count = LONGEST + 51
    for frame in range(1, count):
        (pictures / f"{frame:010d}.png").hardlink_to(pictures / f"{0:010d}.png")
    lines = [" ".join([str(frame), *row]) for frame in range(count)]
    (tmp_path / "data_poses" / drive_name(0) / "poses.txt").write_text("\n".join(lines))
    scenes = CONVERTER.find(tmp_path, ConvertOptions()).scenes
    assert [found.frames for found in scenes] == [count // 2, count - count // 2]


def test_square_windows_keep_their_pixels(raw: Path, tmp_path: Path) -> None:
    made = convert(CONVERTER, raw, tmp_path / "windows", cameras=("00",), square_windows=3)
    whole = convert(CONVERTER, raw, tmp_path / "whole", cameras=("00",)).clips[FIRST.format("00")]
    lefts = (0, 64, 128)
    assert list(made.clips) == [f"{FIRST.format('00')}-x{left:04d}" for left in lefts]
    cameras = json.loads((whole / "cameras.json").read_text())
    for left, clip in zip(lefts, made.clips.values(), strict=True):
        window = json.loads((clip / "cameras.json").read_text())
        assert window["extrinsics"] == cameras["extrinsics"]
        moved = np.array(cameras["intrinsics"]) - np.array([[0, 0, left], [0, 0, 0], [0, 0, 0]])
        np.testing.assert_allclose(window["intrinsics"], moved, atol=1e-5)
        for path in sorted((clip / "frames").iterdir()):
            with Image.open(path) as seen, Image.open(whole / "frames" / path.name) as all_of_it:
                np.testing.assert_array_equal(np.asarray(seen), np.asarray(all_of_it)[:, left : left + 48])
    with pytest.raises(ValueError, match=r"1 \(the whole picture\) to 3"):
        CONVERTER.find(raw, ConvertOptions(square_windows=4))


def test_drives_of_the_benchmarks_are_held_out(tmp_path: Path) -> None:
    write_calibration(tmp_path, SHORT)
    for number in (7, 8, 18):
        write_drive(tmp_path, SHORT, number=number, cameras=("00",))
    scenes = CONVERTER.find(tmp_path, ConvertOptions()).scenes
    assert {found.name[:9]: found.split for found in scenes} == {
        "drive0007": "train",
        "drive0008": "held-out",
        "drive0018": "held-out",
    }


def test_damaged_and_missing_files_are_told_and_the_rest_is_kept(raw: Path, tmp_path: Path) -> None:
    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    poses = copy / "data_poses" / drive_name(0) / "poses.txt"
    lines = poses.read_text().splitlines()
    lines[2] = "2 nan" + lines[2][5:]
    poses.write_text("\n".join(lines))
    write_drive(copy, SHORT, number=3, cameras=("00",))
    (copy / "data_poses" / drive_name(3) / "poses.txt").unlink()
    (copy / "calibration" / "image_03.yaml").unlink()
    made = convert(CONVERTER, copy, tmp_path / "clips")
    expected = [f"drive0000-camera{camera}-{start:010d}" for camera in ("00", "01", "02") for start in (0, 3)]
    assert list(made.clips) == expected
    check_converted(made.clips[expected[1]], SCENE, scale_free=False, frames=[3, 4, 5, 6, 7])
    assert {problem.place for problem in made.findings.problems} == {
        f"data_poses/{drive_name(0)}",
        f"data_poses/{drive_name(3)}",
        f"data_2d_raw/{drive_name(0)}/image_03",
    }


def test_without_calibration_nothing_is_converted(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="data_2d_raw"):
        CONVERTER.find(tmp_path, ConvertOptions())
    write_drive(tmp_path, SHORT, cameras=("00",))
    with pytest.raises(ValueError, match="calib_cam_to_pose"):
        CONVERTER.find(tmp_path, ConvertOptions())
    with pytest.raises(ValueError, match="cameras 00"):
        CONVERTER.find(raw, ConvertOptions(cameras=("05",)))


def test_a_fisheye_view_has_no_black_border() -> None:
    """It is 90 degrees wide, or as wide as the picture allows; with a calibration of another size there is none."""
    lens = MeiLens(xi=2.2, k1=0.02, k2=1.6, p1=4e-4, p2=-4e-4)
    whole = RawCamera(
        intrinsics=np.array([[190.0, 0, 101], [0, 191, 98], [0, 0, 1]]),
        world_from_camera=np.eye(4),
        height=200,
        width=204,
        lens=lens,
    )
    view = lens.view(whole)
    assert view.width / 2 == pytest.approx(view.intrinsics[0, 0])
    cropped = replace(whole, height=130)
    narrow = lens.view(cropped)
    assert 20 < narrow.width < view.width
    pixels = lens.pixels(cropped, narrow)
    assert (pixels > 0.4).all()
    assert pixels[0].max() < cropped.width
    assert pixels[1].max() < cropped.height
    with pytest.raises(UnusableScene, match="does not fit"):
        lens.view(replace(whole, height=90))
