"""MVImgNet: its radial lens is removed, instances without a model are told, frames come in the order of their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from data.converters.fixture import check_converted, make_scene, snapshot
from data.converters.raw_mvimgnet import write_mvimgnet
from data.converters.whole_dataset import convert
from gen3r.data.converters.mvimgnet import CONVERTER
from gen3r.data.converting.raw import ConvertOptions

SCENE = make_scene(frames=6, width=48, height=64, focal=60)
NAME = "7-0000abcd"


def test_dots_are_where_the_undistorted_cameras_say(tmp_path: Path) -> None:
    write_mvimgnet(tmp_path / "raw", SCENE, masks=True)
    (tmp_path / "raw" / "mvimgnet_category.txt").write_text("0,bag\n7,mug\n")
    before = snapshot(tmp_path / "raw")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[NAME], SCENE, scale_free=True)
    record = made.record(NAME)
    assert (record["source"], record["scale_kind"], record["split"]) == ("mvimgnet", "unknown", "train")
    assert record["labels"] == {"category": "mug"}
    assert record["masks"] == "foreground"
    picture = np.asarray(Image.open(made.clips[NAME] / "frames" / "frame00003.jpg"), dtype=float)
    mask = np.asarray(Image.open(made.clips[NAME] / "masks" / "frame00003.png"))
    colourful = np.ptp(picture, axis=-1) > 150
    assert colourful.any()
    assert (mask[colourful] == 255).all()
    assert (mask == 255).mean() < 0.5
    assert snapshot(tmp_path / "raw") == before


def test_points_of_the_model_project_onto_the_undistorted_keypoints(tmp_path: Path) -> None:
    folder = write_mvimgnet(tmp_path, SCENE, k=0.1)
    (found,) = CONVERTER.find(tmp_path, ConvertOptions()).scenes
    frames = CONVERTER.read(tmp_path, found, ConvertOptions()).frames
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    camera = model.cameras[1]
    points = np.array([model.points3D[index].xyz for index in range(1, 11)])
    by_name = {image.name: image for image in model.images.values()}
    for name, frame in zip(sorted(by_name), frames, strict=True):
        keypoints = np.array([point.xy for point in by_name[name].points2D])
        rays = np.c_[camera.cam_from_img(keypoints), np.ones(10)] @ frame.camera.intrinsics.T
        pose = np.linalg.inv(frame.camera.world_from_camera)
        seen = (points @ pose[:3, :3].T + pose[:3, 3]) @ frame.camera.intrinsics.T
        assert np.abs(seen[:, :2] / seen[:, 2:] - rays[:, :2]).max() < 1e-3


@pytest.mark.parametrize("mistake", [{"inverted": True}, {"flip": np.diag([1.0, -1, -1, 1])}], ids=str)
def test_wrong_poses_are_noticed(tmp_path: Path, mistake: dict) -> None:
    write_mvimgnet(tmp_path / "raw", SCENE)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError):
        check_converted(made.clips[NAME], SCENE, scale_free=True, **mistake)


def test_parameters_read_as_a_pinholes_are_noticed(tmp_path: Path) -> None:
    """f cx cy k taken for fx fy cx cy is what others did with this dataset."""
    cameras = write_mvimgnet(tmp_path / "raw", SCENE) / "sparse" / "0" / "cameras.bin"
    content = cameras.read_bytes()
    cameras.write_bytes(content[:12] + (1).to_bytes(4, "little") + content[16:])
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    if made.clips:
        with pytest.raises(AssertionError):
            check_converted(made.clips[NAME], SCENE, scale_free=True)
    else:
        assert NAME in made.refused


def test_instances_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    raw = tmp_path / "MVImgNet_by_categories"
    write_mvimgnet(raw, SCENE, "7/good", masks=True)
    for file in (write_mvimgnet(raw, SCENE, "7/empty") / "sparse" / "0").iterdir():
        file.unlink()
    for file in (write_mvimgnet(raw, SCENE, "8/bare") / "images").iterdir():
        file.unlink()
    (raw / "7" / "good" / "masks" / "002.jpg.png").unlink()
    findings = CONVERTER.find(tmp_path, ConvertOptions())
    assert [found.name for found in findings.scenes] == ["7-good"]
    assert {Path(problem.place).name for problem in findings.problems} == {"empty", "bare"}
    assert all("model" in problem.reason or "pictures" in problem.reason for problem in findings.problems)
    made = convert(CONVERTER, tmp_path, tmp_path / "clips")
    assert made.record("7-good")["masks"] is None
    assert made.record("7-good")["labels"] == {}


def test_another_folder_is_refused_saying_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CLASS/INSTANCE"):
        CONVERTER.find(tmp_path, ConvertOptions())
