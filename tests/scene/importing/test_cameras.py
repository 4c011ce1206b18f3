"""Cameras of every kind: what is written comes back, what is damaged is refused by name."""

import json
import math
import re
import shutil

import pycolmap
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.strategies import cameras as some_cameras
from gen3r.scene.camera_files import write_cameras
from gen3r.scene.export.colmap import to_reconstruction
from gen3r.scene.export.nerfstudio import transforms
from gen3r.scene.export.tracks import Tracks
from gen3r.scene.export.tum import trajectory_lines
from gen3r.scene.importing.cameras import CAMERA_FORMATS, find_cameras, read_any_cameras, read_track
from gen3r.scene.importing.track import DEFAULT_FOV_DEGREES, ReadOptions
from scene.rooms import room_cameras
from scene.same_cameras import assert_same

FRAMES, HEIGHT, WIDTH = 3, 24, 32


def unseen(count):
    """Tracks without any point."""
    none = torch.zeros(0, dtype=torch.int64)
    empty = torch.zeros(0, 3, dtype=torch.float64)
    return Tracks(points=empty, colors=empty.byte(), point=none, frame=none, pixels=empty[:, :2])


def write_colmap(cameras, folder, form):
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    getattr(to_reconstruction(cameras, unseen(len(cameras))), f"write_{form}")(model)
    return folder


def write_transforms(cameras, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "transforms.json").write_text(json.dumps(transforms(cameras)))
    return folder


def write_trajectory(cameras, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "path.txt").write_text("\n".join(trajectory_lines(cameras)) + "\n")
    return folder / "path.txt"


def write_json(cameras, folder):
    folder.mkdir(parents=True, exist_ok=True)
    write_cameras(folder / "cameras.json", cameras)
    return folder


WRITERS = {
    "colmap text": lambda cameras, folder: write_colmap(cameras, folder, "text"),
    "colmap binary": lambda cameras, folder: write_colmap(cameras, folder, "binary"),
    "transforms.json": write_transforms,
    "tum": write_trajectory,
    "cameras.json": write_json,
}


@pytest.mark.parametrize("kind", [name for name in WRITERS if name != "cameras.json"])
@given(cameras=some_cameras(count=3))
@settings(max_examples=10)
def test_round_trip(kind, cameras, tmp_path_factory):
    """Float64 poses of any kind; cameras.json is float32 and exact there, which its own tests say."""
    path = WRITERS[kind](cameras, tmp_path_factory.mktemp("trip") / "out")
    assert_same(read_any_cameras(path), cameras)


@pytest.mark.parametrize("kind", WRITERS)
def test_room_cameras_come_back_from_every_kind(kind, tmp_path):
    cameras = room_cameras(FRAMES, HEIGHT, WIDTH)
    assert_same(read_any_cameras(WRITERS[kind](cameras, tmp_path / "x")), cameras)


def test_kinds_are_told_by_content(tmp_path):
    """Names say nothing: a trajectory called .csv, transforms called scan.json, a model folder by one of its files."""
    cameras = room_cameras(FRAMES, HEIGHT, WIDTH)
    shutil.copy(write_trajectory(cameras, tmp_path / "a"), tmp_path / "walk.csv")
    shutil.copy(write_transforms(cameras, tmp_path / "b") / "transforms.json", tmp_path / "scan.dat")
    shutil.copy(write_json(cameras, tmp_path / "c") / "cameras.json", tmp_path / "camera_path")
    model = write_colmap(cameras, tmp_path / "d", "text") / "sparse" / "0"
    found = {
        name: find_cameras(path)[0].name
        for name, path in {
            "walk": tmp_path / "walk.csv",
            "scan": tmp_path / "scan.dat",
            "path": tmp_path / "camera_path",
            "model": model,
            "sparse": model.parent.parent,
            "file": model / "images.txt",
        }.items()
    }
    assert found == {
        "walk": "TUM trajectory",
        "scan": "transforms.json",
        "path": "cameras.json",
        "model": "COLMAP model",
        "sparse": "COLMAP model",
        "file": "COLMAP model",
    }
    assert len({item.name for item in CAMERA_FORMATS}) == len(CAMERA_FORMATS)


def test_binary_is_read_where_both_are(tmp_path):
    """As COLMAP does."""
    write_colmap(room_cameras(FRAMES, HEIGHT, WIDTH), tmp_path, "binary")
    for path in write_colmap(room_cameras(2, 10, 12), tmp_path / "text", "text").glob("sparse/0/*"):
        shutil.copy(path, tmp_path / "sparse" / "0")
    assert len(read_any_cameras(tmp_path)) == FRAMES


def test_images_are_in_natural_order(tmp_path):
    cameras = room_cameras(11, HEIGHT, WIDTH)
    model = to_reconstruction(cameras, unseen(11))
    for index in range(11):
        model.images[index + 1].name = f"shot{index}.png"  # shot10 sorts before shot2 as text
    model.write_text(tmp_path)
    assert_same(read_any_cameras(tmp_path), cameras)
    record = transforms(cameras)
    for index, frame in enumerate(record["frames"]):
        frame["file_path"] = f"images/shot{index}.png"
    record["frames"].reverse()
    (tmp_path / "scan.json").write_text(json.dumps(record))
    assert_same(read_any_cameras(tmp_path / "scan.json"), cameras)


class TestColmapLenses:
    def model(self, folder, name, params, sizes=((24, 32), (24, 32))):
        model = pycolmap.Reconstruction()
        for index, (height, width) in enumerate(sizes, start=1):
            camera = pycolmap.Camera(model=name, width=width, height=height, params=params, camera_id=index)
            model.add_camera_with_trivial_rig(camera)
            image = pycolmap.Image(name=f"{index}.png", camera_id=index, image_id=index)
            model.add_image_with_trivial_frame(image, pycolmap.Rigid3d())
        model.write_binary(folder)
        return folder

    @pytest.mark.parametrize(
        ("name", "params", "expected"),
        [
            ("SIMPLE_PINHOLE", [30, 16, 12], (30, 30)),
            ("SIMPLE_RADIAL", [30, 16, 12, 0], (30, 30)),
            ("OPENCV", [30, 31, 16, 12, 0, 0, 0, 0], (30, 31)),
        ],
    )
    def test_pinholes_by_any_name(self, tmp_path, name, params, expected):
        cameras = read_any_cameras(self.model(tmp_path, name, params))
        assert tuple(cameras.intrinsics[0].diagonal().tolist()[:2]) == expected

    @pytest.mark.parametrize(
        ("name", "params"),
        [
            ("SIMPLE_RADIAL", [30, 16, 12, 0.1]),
            ("OPENCV", [30, 31, 16, 12, 0, 0, 0.01, 0]),
            ("OPENCV_FISHEYE", [30, 31, 16, 12, 0, 0, 0, 0]),
        ],
    )
    def test_distortion_is_refused_with_advice(self, tmp_path, name, params):
        with pytest.raises(ValueError, match=rf"{tmp_path.name}.*1\.png.*{name}.*image_undistorter"):
            read_any_cameras(self.model(tmp_path, name, params))

    def test_different_sizes_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="one size, got 24x32, 32x24"):
            read_any_cameras(self.model(tmp_path, "SIMPLE_PINHOLE", [30, 16, 12], ((24, 32), (32, 24))))


class TestTrajectory:
    LINE = "0.0 0 0 0 0 0 0 1"

    def read(self, folder, text, **options):
        path = folder / "walk.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_any_cameras(path, ReadOptions(**options))

    def test_without_intrinsics_the_field_of_view_is_a_named_choice(self, tmp_path):
        cameras = self.read(tmp_path, f"# made by a phone\n{self.LINE}\n1 0 0 0.5 0 0 0 1\n")
        assert torch.rad2deg(cameras.fov).flatten().tolist() == pytest.approx([DEFAULT_FOV_DEGREES] * 4)
        assert cameras.centers.tolist() == [[0, 0, 0], [0, 0, 0.5]]
        wide = self.read(tmp_path, self.LINE, fov_degrees=90.0)
        assert torch.rad2deg(wide.fov).flatten().tolist() == pytest.approx([90.0] * 2)

    def test_quaternions_are_x_y_z_w(self, tmp_path):
        """A quarter turn about y: the camera that looked along z now looks along x."""
        half = math.sqrt(0.5)
        cameras = self.read(tmp_path, f"0 1 2 3 0 {half} 0 {half}")
        pose = cameras.world_from_camera[0]
        torch.testing.assert_close(pose[:3, 2], torch.tensor([1.0, 0, 0]).double(), atol=1e-9, rtol=0)
        assert pose[:3, 3].tolist() == pytest.approx([1, 2, 3])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("0 0 0 0 0 0 0 1\n1 0 0 0 0 0 1", "line 2: expected 8 finite numbers"),
            ("0 0 0 0 0 0 0 1\n1 0 nan 0 0 0 0 1", "line 2"),
            ("0 0 0 0 0 0 0 1\n1 0 0 0 x 0 0 1", "line 2"),
            ("0 0 0 0 0 0 0 1\n0 0 0 0 0 0 0 1", "times must increase"),
            ("0 0 0 0 0 0 0 0", "length 1, got 0"),
            ("0 0 0 0 1 1 1 1", "length 1, got 2"),
            ("0 0 0 0 0 0 0 1\n\xff".encode("latin-1"), "not a text file"),
            ("# gen3r intrinsics (width height fx fy cx cy): 3 4\n0 0 0 0 0 0 0 1", "line 1: expected 6"),
            ("# gen3r intrinsics (width height fx fy cx cy): 9.5 4 1 1 1 1\n0 0 0 0 0 0 0 1", "whole numbers"),
        ],
    )
    def test_unusable_files_are_refused_by_name(self, tmp_path, text, message):
        with pytest.raises(ValueError, match=message) as caught:
            self.read(tmp_path, text)
        assert "walk.txt" in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"hello\n", b"1 2 3\n", bytes(range(256)), b"# only a comment\n"])
def test_what_holds_no_cameras_is_answered_with_the_kinds(tmp_path, content):
    path = tmp_path / "thing.txt"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"thing\.txt holds no cameras.*transforms\.json.*COLMAP"):
        read_any_cameras(path)


def test_nothing_there(tmp_path):
    with pytest.raises(ValueError, match=r"nothing at .*nowhere"):
        read_any_cameras(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    cameras = room_cameras(FRAMES, HEIGHT, WIDTH)
    root = tmp_path_factory.mktemp("originals")
    model = lambda form: write_colmap(cameras, root / form, form) / "sparse" / "0"  # noqa: E731
    return [model("text"), model("binary"), write_transforms(cameras, root / "json")]


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin", "rigs.bin", "frames.bin"])
def test_every_truncation_of_a_binary_model_is_refused(originals, name, tmp_path):
    shutil.copytree(originals[1], tmp_path, dirs_exist_ok=True)
    whole = (tmp_path / name).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(ValueError, match=re.escape(str(tmp_path / name))):
            read_any_cameras(tmp_path)


@settings(max_examples=80)
@given(data=st.data())
def test_damage_is_answered_with_a_value_error_that_names_the_path(originals, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged") / "x"
    shutil.copytree(data.draw(st.sampled_from(originals)), folder)
    file = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content)))
    content[position : position + data.draw(st.integers(0, 9))] = data.draw(
        st.one_of(st.binary(max_size=9), st.sampled_from([b"nan", b"-1", b"\xff" * 8, b"1e9", b"\n\n"]))
    )
    file.write_bytes(content)
    message = ""
    try:
        read_track(folder).cameras.validate()
    except ValueError as error:
        message = str(error)
    assert not message or str(folder) in message
