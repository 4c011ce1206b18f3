"""transforms.json, read again with arithmetic of its own, plyfile and Pillow."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from plyfile import PlyData

from gen3r.scene.export.nerfstudio import write
from gen3r.scene.export.source import ExportSource
from gen3r.scene.scene import Scene
from scene.rooms import BALL, room_scene

FRAMES, HEIGHT, WIDTH = 4, 30, 41


@pytest.fixture(scope="module")
def scene() -> Scene:
    return room_scene(FRAMES, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def source(scene) -> ExportSource:
    return ExportSource(scene)


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    write(source, folder)
    return folder / "nerfstudio"


def transforms(folder):
    return json.loads((folder / "transforms.json").read_text())


def opengl_pixel(frame, point):
    """Where nerfstudio sees a point: the camera looks along -z, y is up."""
    x, y, z, _ = np.linalg.inv(np.array(frame["transform_matrix"])) @ np.append(point, 1.0)
    return frame["fl_x"] * x / -z + frame["cx"], frame["fl_y"] * -y / -z + frame["cy"], -z


def steps(folder, frame):
    with Image.open(folder / frame["depth_file_path"]) as picture:
        assert picture.mode == "I;16"
        return np.asarray(picture).astype(np.float64)


def cloud(folder):
    with (folder / transforms(folder)["ply_file_path"]).open("rb") as file:
        vertex = PlyData.read(file)["vertex"]
    xyz = np.stack([vertex[axis] for axis in "xyz"], axis=-1)
    return xyz, np.stack([vertex[channel] for channel in ("red", "green", "blue")], axis=-1)


def test_a_known_point_is_at_its_pixel_in_every_frame(scene, folder):
    record = transforms(folder)
    assert record["camera_convention"] == "opengl"
    assert len(record["frames"]) == FRAMES
    for index, frame in enumerate(record["frames"]):
        assert (frame["w"], frame["h"]) == (WIDTH, HEIGHT)
        with Image.open(folder / frame["file_path"]) as picture:
            pixels = np.asarray(picture)
        assert (pixels == scene.rgb[index].numpy()).all()
        x, y, z = opengl_pixel(frame, BALL.numpy())
        assert pixels[int(y), int(x), 2] > pixels[int(y), int(x), 0] + 50  # the ball is blue
        extrinsics, intrinsics = (
            m[index].double().numpy() for m in (scene.cameras.extrinsics, scene.cameras.intrinsics)
        )
        u, v, w = intrinsics @ (extrinsics[:3, :3] @ BALL.double().numpy() + extrinsics[:3, 3])
        np.testing.assert_allclose([x, y, z], [u / w, v / w, w], atol=1e-5)


def test_depth_is_in_millimetres_of_the_poses(scene, folder):
    for index, frame in enumerate(transforms(folder)["frames"]):
        depth, mask = scene.depth[index].numpy(), scene.mask[index].numpy()
        assert ((steps(folder, frame) > 0) == mask).all()
        assert np.abs(steps(folder, frame) / 1000 - depth)[mask].max() < 0.00051


def test_the_cloud_is_in_the_world_of_the_poses(source, folder):
    xyz, rgb = cloud(folder)
    np.testing.assert_array_equal(xyz, source.cloud.points.numpy())
    np.testing.assert_array_equal(rgb, source.cloud.colors.numpy())


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_scene_too_large_or_small_for_millimetres_is_scaled_whole(scene, tmp_path, factor):
    """Depth, cloud and poses stay consistent: every cloud point has its depth where it projects."""
    changed = dataclasses.replace(
        scene, depth=scene.depth * factor, points=scene.points * factor, cameras=scene.cameras.scaled(factor)
    )
    source = ExportSource(changed)
    write(source, tmp_path)
    folder = tmp_path / "nerfstudio"
    record = transforms(folder)
    unit = record["units_per_scene_unit"]
    assert unit != 1
    xyz, _ = cloud(folder)
    np.testing.assert_allclose(xyz, source.cloud.points.numpy() * unit, rtol=1e-6)
    depths = [steps(folder, frame) for frame in record["frames"]]
    assert 30000 < max(depth.max() for depth in depths) < 65535
    for index, frame in enumerate(record["frames"]):
        truth = changed.depth[index].numpy() * unit
        assert np.abs(depths[index] / 1000 - truth)[scene.mask[index].numpy()].max() < 0.00051
        position = np.array(frame["transform_matrix"])[:3, 3]
        np.testing.assert_allclose(position, changed.cameras.centers[index].double() * unit, rtol=1e-5, atol=1e-5)


def test_the_usual_scene_keeps_its_unit(folder):
    assert transforms(folder)["units_per_scene_unit"] == 1


def test_nothing_seen_is_a_whole_dataset_too(scene, tmp_path):
    write(ExportSource(dataclasses.replace(scene, mask=torch.zeros_like(scene.mask))), tmp_path)
    xyz, _ = cloud(tmp_path / "nerfstudio")
    assert len(xyz) == 0
