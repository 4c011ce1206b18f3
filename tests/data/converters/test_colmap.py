"""COLMAP projects: every lens, text and binary, scenes told apart; and the lenses against COLMAP's own functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from data.converters.fixture import check_converted, make_scene, snapshot
from data.converters.raw_colmap import Model, write_colmap
from data.converters.whole_dataset import convert
from gen3r.data.converters.colmap import CONVERTER
from gen3r.data.converters.colmap_models import OPENCV_LENSES, raw_camera
from gen3r.data.converting.raw import ConvertOptions, PinholeView, UnusableScene

SCENE = make_scene(frames=5, width=64, height=48)
SMALL = make_scene(frames=3, width=64, height=48)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Model(name="SIMPLE_PINHOLE"), True),
        (Model(name="SIMPLE_RADIAL", extra=(-0.1,)), False),
        (Model(name="RADIAL", extra=(0.05, -0.02)), True),
        (Model(name="OPENCV", extra=(-0.05, 0.02, 0.004, -0.003)), False),
        (Model(name="OPENCV_FISHEYE", extra=(0.02, -0.01, 0.003, 0.001)), True),
    ],
    ids=lambda value: value.name if isinstance(value, Model) else "text" if value else "binary",
)
def test_dots_are_where_the_undistorted_cameras_say(tmp_path: Path, model: Model, text: bool) -> None:
    write_colmap(tmp_path / "raw", SCENE, model, text=text)
    before = snapshot(tmp_path / "raw")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips["raw"], SCENE, scale_free=True)
    assert snapshot(tmp_path / "raw") == before


def test_wrong_poses_and_lenses_are_noticed(tmp_path: Path) -> None:
    write_colmap(tmp_path / "raw" / "c2w", SCENE, inverted=True)
    write_colmap(tmp_path / "raw" / "good", SCENE)
    write_colmap(tmp_path / "raw" / "straight", SCENE, Model(name="SIMPLE_RADIAL", extra=(-0.3,)))
    cameras = tmp_path / "raw" / "straight" / "sparse" / "0" / "cameras.bin"
    cameras.write_bytes(cameras.read_bytes()[:-8] + bytes(8))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    for name, mistake in (("c2w", {}), ("straight", {}), ("good", {"flip": np.diag([1.0, -1, -1, 1])})):
        with pytest.raises(AssertionError):
            check_converted(made.clips[name], SCENE, scale_free=True, **mistake)
    check_converted(made.clips["good"], SCENE, scale_free=True)


def test_smaller_copies_of_the_pictures_get_smaller_cameras(tmp_path: Path) -> None:
    project = write_colmap(tmp_path / "raw", SCENE, Model(name="SIMPLE_RADIAL", extra=(-0.1,)))
    for picture in (project / "images").iterdir():
        Image.open(picture).resize((32, 24), Image.Resampling.BOX).save(picture, quality=95, subsampling=0)
    (found,) = CONVERTER.find(tmp_path / "raw", ConvertOptions()).scenes
    camera = CONVERTER.read(tmp_path / "raw", found, ConvertOptions()).frames[0].camera
    assert np.allclose(camera.intrinsics[:2], SCENE.intrinsics[:2] / 2)
    assert (camera.height, camera.width) == (24, 32)


def test_models_and_folders_of_pictures_are_scenes_of_their_own(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_colmap(raw / "walk", SMALL)
    write_colmap(raw / "walk", SMALL, sparse="sparse/1")
    write_colmap(raw / "rig", SMALL, names=["left/1.jpg", "left/2.jpg", "right/1.jpg"])
    write_colmap(raw / "old", SMALL, sparse="sparse", names=["10.jpg", "9.jpg", "100.jpg"])
    write_colmap(raw / "processed", SMALL, sparse="colmap/sparse/0")
    (raw / "empty" / "sparse").mkdir(parents=True)
    findings = CONVERTER.find(raw, ConvertOptions())
    assert {found.name: found.frames for found in findings.scenes} == {
        "old": 3,
        "processed": 3,
        "rig-left": 2,
        "rig-right": 1,
        "walk-0": 3,
        "walk-1": 3,
    }
    assert [problem.place for problem in findings.problems] == ["empty"]
    made = convert(CONVERTER, raw, tmp_path / "clips")
    assert made.record("rig-left")["frames"] == 2
    check_converted(made.clips["old"], SMALL, scale_free=True, frames=[1, 0, 2])
    check_converted(made.clips["processed"], SMALL, scale_free=True)
    assert "at least 2" in made.refused["rig-right"]


def test_masks_and_missing_pictures(tmp_path: Path) -> None:
    project = write_colmap(tmp_path / "raw", SMALL)
    (project / "masks").mkdir()
    for picture in (project / "images").iterdir():
        mask = np.zeros((48, 64), np.uint8)
        mask[:, :32] = 255
        Image.fromarray(mask).save(project / "masks" / f"{picture.name}.png")
    (project / "images" / "002.jpg").unlink()
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips["raw"], SMALL, scale_free=True, frames=[0, 2])
    record = made.record("raw")
    assert record["masks"] == "valid"
    assert "1 of 3 frames" in record["notes"][0]
    stored = np.asarray(Image.open(made.clips["raw"] / "masks" / "frame00001.png"))
    assert stored[:, :32].all()
    assert not stored[:, 32:].any()


def test_pictures_that_colmap_turned_are_turned(tmp_path: Path) -> None:
    project = write_colmap(tmp_path / "raw", SMALL)
    for picture in (project / "images").iterdir():
        sideways = Image.open(picture).transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6
        sideways.save(picture, quality=95, subsampling=0, exif=exif)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips["raw"], SMALL, scale_free=True)


def test_a_damaged_model_is_one_scene_less(tmp_path: Path) -> None:
    write_colmap(tmp_path / "raw" / "good", SMALL)
    images = write_colmap(tmp_path / "raw" / "bad", SMALL) / "sparse" / "0" / "images.bin"
    images.write_bytes(images.read_bytes()[:-30])
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert list(made.clips) == ["good"]
    assert "truncated" in made.refused["bad"]


def test_another_folder_is_refused_saying_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sparse/0"):
        CONVERTER.find(tmp_path, ConvertOptions())


PARAMETERS = {
    "FOV": (0.6,),
    "THIN_PRISM_FISHEYE": (0.02, -0.01, 0.003, -0.002, 0.001, 0.001, 0.002, -0.001),
    "SIMPLE_DIVISION": (-0.1,),
}
"""Of models that OpenCV does not have."""


@pytest.mark.parametrize("name", [*OPENCV_LENSES, *PARAMETERS])
def test_lenses_say_what_colmap_says(name: str) -> None:
    camera = pycolmap.Camera.create_from_model_name(1, name, 50.0, 64, 48)
    extra = camera.extra_params_idxs()
    parameters = camera.params.copy()
    parameters[camera.principal_point_idxs()] = [33.0, 23.5]
    parameters[extra] = PARAMETERS.get(name, 0.02 / 2.0 ** np.arange(len(extra)) * (-1.0) ** np.arange(len(extra)))
    camera.params = parameters
    raw = raw_camera(camera, pycolmap.Rigid3d())
    assert raw.lens is not None
    intrinsics = np.array([[70.0, 0, 31], [0, 75, 25], [0, 0, 1]])
    view = PinholeView(intrinsics=intrinsics, height=20, width=30, view_from_camera=np.eye(3))
    x, y = np.meshgrid(np.arange(30) + 0.5, np.arange(20) + 0.5)
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ np.linalg.inv(intrinsics).T
    expected = np.asarray(camera.img_from_cam(rays)).reshape(20, 30, 2)
    assert np.abs(np.moveaxis(raw.lens.pixels(raw, view), 0, -1) - expected).max() < 2e-3
    chosen = raw.lens.view(raw)
    back = raw.lens.pixels(raw, chosen)
    assert back[0].min() > -0.6
    assert back[1].min() > -0.6
    assert back[0].max() < 64.6
    assert back[1].max() < 48.6


@pytest.mark.parametrize("part", ["images", "masks"])
def test_files_outside_the_folder_are_refused(tmp_path: Path, part: str) -> None:
    write_colmap(tmp_path / "raw" / "good", SMALL)
    names = ["../../../away/1.jpg", "2.jpg", "3.jpg"] if part == "images" else ["1.jpg", "2.jpg", "3.jpg"]
    (tmp_path / "raw" / "bad" / "images").mkdir(parents=True)
    (tmp_path / "away").mkdir()
    project = write_colmap(tmp_path / "raw" / "bad", SMALL, names=names)
    if part == "masks":
        (project / "masks").mkdir()
        Image.new("L", (SMALL.width, SMALL.height)).save(tmp_path / "away" / "mask.png")
        (project / "masks" / "1.jpg.png").symlink_to(tmp_path / "away" / "mask.png")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert list(made.clips) == ["good"]
    assert "outside the folder" in made.refused["bad"]


def test_panoramas_are_refused() -> None:
    camera = pycolmap.Camera.create_from_model_name(1, "EQUIRECTANGULAR", 1.0, 64, 32)
    with pytest.raises(UnusableScene, match="EQUIRECTANGULAR"):
        raw_camera(camera, pycolmap.Rigid3d())
