"""transforms.json as nerfstudio, instant-ngp, NeRF's Blender scenes and Gen3R's training data write it."""

import json
import math

import pytest
import torch
from PIL import Image

from gen3r.scene.export.nerfstudio import transforms
from gen3r.scene.importing.cameras import read_any_cameras, read_track
from gen3r.scene.importing.track import ReadOptions
from scene.rooms import room_cameras
from scene.same_cameras import assert_same

FRAMES, HEIGHT, WIDTH = 3, 24, 32


def without_size(record):
    frames = [{key: value for key, value in frame.items() if key not in "wh"} for frame in record["frames"]]
    return record | {"frames": frames}


def edited(record, **values):
    record["frames"][1] = {**record["frames"][1], **values}
    return record


class TestTransforms:
    @pytest.fixture
    def record(self):
        return transforms(room_cameras(FRAMES, HEIGHT, WIDTH))

    def read(self, folder, record, **options):
        path = folder / "transforms.json"
        text = record if isinstance(record, str | bytes) else json.dumps(record)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_any_cameras(path, ReadOptions(**options))

    def test_axes_without_the_key_are_opengl_unless_told(self, tmp_path, record):
        cameras = room_cameras(FRAMES, HEIGHT, WIDTH)
        del record["camera_convention"]
        assert_same(self.read(tmp_path, record), cameras)
        for frame, pose in zip(record["frames"], cameras.world_from_camera.tolist(), strict=True):
            frame["transform_matrix"] = pose
        assert_same(self.read(tmp_path, record, axes="opencv"), cameras)
        assert_same(self.read(tmp_path, record | {"camera_convention": "opencv"}), cameras)

    def test_shared_intrinsics(self, tmp_path, record):
        shared = {key: record["frames"][0][key] for key in ("w", "h", "fl_x", "fl_y", "cx", "cy")}
        for frame in record["frames"]:
            for key in shared:
                del frame[key]
        distortion = {"k1": 0, "k2": 0.0, "p1": 0, "p2": 0, "camera_model": "OPENCV"}
        assert_same(self.read(tmp_path, record | shared | distortion), room_cameras(FRAMES, HEIGHT, WIDTH))

    def test_blender_says_an_angle(self, tmp_path, record):
        pose = record["frames"][0]["transform_matrix"]
        angle = {"camera_angle_x": math.pi / 2, "w": 40, "h": 20, "frames": [{"transform_matrix": pose}]}
        (intrinsics,) = self.read(tmp_path, angle).intrinsics
        torch.testing.assert_close(intrinsics, torch.tensor([[20, 0, 20], [0, 20, 10], [0, 0, 1]]).double())

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda r: {**r, "frames": []}, "at least one"),
            (lambda r: {**r, "frames": {"0": 1}}, "list of objects"),
            (lambda r: {**r, "frames": [1, 2]}, "list of objects"),
            (lambda r: {**r, "camera_convention": "blender"}, "opengl or opencv, got 'blender'"),
            (lambda r: {**r, "camera_convention": ["opencv"]}, "opengl or opencv"),
            (lambda r: edited(r, camera_model="OPENCV_FISHEYE"), "OPENCV_FISHEYE.*image_undistorter"),
            (lambda r: edited(r, k1=0.2), "frame 1.*k1 are not zero"),
            (lambda r: edited(r, k1="0"), "the number k1"),
            (lambda r: edited(r, fl_x=None), "the number fl_x; it is missing"),
            (lambda r: edited(r, fl_x=True), "the number fl_x; got True"),
            (lambda r: edited(r, fl_x=10**400), "fl_x"),
            (lambda r: edited(r, fl_x=float("nan")), "finite"),
            (lambda r: edited(r, fl_x=0.0), "focal lengths must be positive"),
            (lambda r: edited(r, fl_x=1e-9), "fields of view"),
            (lambda r: edited(r, w=32.5), "whole numbers"),
            (lambda r: edited(r, w=0), "zero size|one size"),
            (lambda r: edited(r, w=64), "one size, got 24x32, 24x64"),
            (lambda r: edited(r, transform_matrix=[[1, 0], [0, 1]]), "shape"),
            (lambda r: edited(r, transform_matrix="identity"), "something else"),
            (lambda r: edited(r, transform_matrix=[[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]]), "rotation"),
            (lambda r: edited(r, transform_matrix=[[math.nan] * 4] * 4), "finite"),
            (lambda r: {**r, "units_per_scene_unit": 0}, "positive number"),
            (lambda r: {**r, "depth_unit_scale_factor": "mm"}, "depth_unit_scale_factor must be a positive number"),
            (without_size, "no w and h, and its picture.*does not exist"),
            (lambda r: "[" * 100_000, "not valid JSON"),
            (lambda r: '{"frames": [', "not valid JSON"),
            (lambda r: b'{"frames": "\xff"}', "not valid JSON"),
        ],
    )
    def test_unusable_files_are_refused_by_name(self, tmp_path, record, edit, message):
        with pytest.raises(ValueError, match=message) as caught:
            self.read(tmp_path, edit(record))
        assert "transforms.json" in str(caught.value)

    def test_depth_is_in_the_unit_the_file_says(self, tmp_path, record):
        """A quarter of a millimetre, in a file whose poses are twice the scene's."""
        record |= {"depth_unit_scale_factor": 0.00025, "units_per_scene_unit": 2.0}
        (tmp_path / "transforms.json").write_text(json.dumps(record))
        assert read_track(tmp_path).depth_scale == 0.000125


class TestBlender:
    """NeRF's synthetic scenes: an angle for all, names without suffix, no size, a file per split."""

    @pytest.fixture(params=["png", "jpg"])
    def folder(self, request, tmp_path):
        (tmp_path / "train").mkdir()
        frames = []
        for index, frame in enumerate(transforms(room_cameras(FRAMES, HEIGHT, WIDTH))["frames"]):
            Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"train/r_{index}.{request.param}")
            frames.append(
                {"file_path": f"./train/r_{index}", "rotation": 0.01, "transform_matrix": frame["transform_matrix"]}
            )
        record = {"camera_angle_x": 0.69, "frames": frames}
        for split in ("train", "val", "test"):
            (tmp_path / f"transforms_{split}.json").write_text(json.dumps(record))
        return tmp_path

    @pytest.mark.parametrize("name", [".", "transforms_train.json", "transforms_val.json"])
    def test_cameras_and_pictures_are_found(self, folder, name):
        track = read_track(folder / name)
        cameras, expected = track.cameras, room_cameras(FRAMES, HEIGHT, WIDTH).to(dtype=torch.float64)
        assert (cameras.height, cameras.width) == (HEIGHT, WIDTH)
        torch.testing.assert_close(cameras.world_from_camera, expected.world_from_camera, atol=1e-6, rtol=0)
        assert float(cameras.fov[0, 1]) == pytest.approx(0.69)
        assert [path.stem for path in track.pictures] == [f"r_{index}" for index in range(FRAMES)]
        assert all(path.is_file() for path in track.pictures)

    def test_transforms_json_comes_first(self, folder):
        (folder / "transforms.json").write_text(json.dumps(transforms(room_cameras(2, HEIGHT, WIDTH))))
        assert len(read_any_cameras(folder)) == 2
