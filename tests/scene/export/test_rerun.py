"""Recordings, read back with Rerun's own reader."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("rerun", reason="rerun is missing; pip install 'gen3r[exports]'")

from rerun.chunk import RrdReader

from gen3r.extras import MESH, Extra
from gen3r.scene.export import optional_mesh, rerun
from gen3r.scene.export.options import ExportOptions
from gen3r.scene.export.source import ExportSource
from scene.rooms import room_scene

FRAMES, HEIGHT, WIDTH = 3, 27, 37
BALL = np.array([0.3, 0.5, 3.2])


@pytest.fixture(scope="module", autouse=True)
def without_mesh():
    """As where the extra is not installed."""
    patch = pytest.MonkeyPatch()
    patch.setattr(optional_mesh, "_EXTRA", Extra(name="mesh", modules=("no_such_library",)))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def source() -> ExportSource:
    return ExportSource(room_scene(FRAMES, HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def recording(source, tmp_path_factory) -> dict[str, list[dict]]:
    folder = tmp_path_factory.mktemp("rerun")
    rerun.write(source, folder)
    return rows(folder / "scene.rrd")


def rows(path) -> dict[str, list[dict]]:
    """Every logged row by entity, in the order of time; values by component without their archetype."""
    found: dict[str, list[dict]] = {}
    for chunk in RrdReader(path).stream():
        for row in chunk.to_record_batch().to_pylist():
            values = {name.rsplit(":")[-1]: value for name, value in row.items()}
            found.setdefault(chunk.entity_path.strip("/"), []).append({**values, "static": chunk.is_static})
    for entity in found.values():
        entity.sort(key=lambda row: row.get("frame", -1))
    return found


def array(row, name) -> np.ndarray:
    return np.asarray(row[name], dtype=np.float64)


def matrix(row, name) -> np.ndarray:
    return np.asarray(row[name], dtype=np.float64).reshape(3, 3).T  # column-major


def colors(row, name="colors") -> np.ndarray:
    packed = np.asarray(row[name], dtype=np.uint32)
    return np.stack([packed >> shift & 255 for shift in (24, 16, 8)], axis=-1).astype(np.uint8)


def test_each_frame_is_on_both_timelines(recording):
    for entity in (rerun.CAMERA, rerun.IMAGE, rerun.RGB, rerun.DEPTH, rerun.FRAME_CLOUD):
        assert [row["frame"] for row in recording[entity]] == list(range(FRAMES))
        seconds = [row["time"].total_seconds() for row in recording[entity]]
        assert seconds == pytest.approx([frame / 12 for frame in range(FRAMES)], abs=1e-6)


def test_cameras_are_the_scene_s(source, recording):
    cameras = source.scene.cameras
    for place, lens, pose, intrinsics in zip(
        recording[rerun.CAMERA],
        recording[rerun.IMAGE],
        cameras.world_from_camera.numpy(),
        cameras.intrinsics.numpy(),
        strict=True,
    ):
        np.testing.assert_allclose(matrix(place, "mat3x3"), pose[:3, :3], atol=1e-6)
        np.testing.assert_allclose(array(place, "translation")[0], pose[:3, 3], atol=1e-6)
        np.testing.assert_allclose(matrix(lens, "image_from_camera"), intrinsics, atol=1e-5)
        assert lens["resolution"] == [[WIDTH, HEIGHT]]
        assert lens["camera_xyz"] == recording["world"][0]["xyz"] == [[3, 2, 5]]  # right, down, forward


def test_a_point_of_the_room_is_at_its_pixel_in_every_frame(source, recording):
    for index, (place, lens) in enumerate(zip(recording[rerun.CAMERA], recording[rerun.IMAGE], strict=True)):
        in_camera = matrix(place, "mat3x3").T @ (BALL - array(place, "translation")[0])
        x, y, z = matrix(lens, "image_from_camera") @ in_camera
        camera = source.scene.cameras[index].to(dtype=torch.float64)
        expected = camera.intrinsics.numpy() @ (camera.extrinsics.numpy()[:3] @ [*BALL, 1])
        np.testing.assert_allclose([x / z, y / z], expected[:2] / expected[2], atol=1e-3)


def test_depth_is_exact_and_zero_where_nothing_is(source, recording):
    for row, depth, mask in zip(recording[rerun.DEPTH], source.scene.depth, source.scene.mask, strict=True):
        read = np.frombuffer(bytes(row["buffer"][0]), np.float32).reshape(HEIGHT, WIDTH)
        np.testing.assert_array_equal(read, torch.where(mask, depth, 0.0))
        assert row["meter"] == [1.0]


def test_pictures_are_the_frames(source, recording):
    for row, frame in zip(recording[rerun.RGB], source.scene.rgb, strict=True):
        read = np.asarray(Image.open(io.BytesIO(bytes(row["blob"][0]))))
        assert np.abs(read.astype(int) - frame.numpy()).mean() < 8  # colour is stored at half resolution


def test_points_are_the_cloud_and_those_of_each_frame(source, recording):
    (cloud,) = recording[rerun.CLOUD]
    assert cloud["static"]
    np.testing.assert_array_equal(array(cloud, "positions"), source.cloud.points)
    np.testing.assert_array_equal(colors(cloud), source.cloud.colors)
    points = source.scene.world_points()
    for row, frame in zip(recording[rerun.FRAME_CLOUD], range(FRAMES), strict=True):
        np.testing.assert_array_equal(array(row, "positions"), points[frame][source.keep[frame]])
        np.testing.assert_array_equal(colors(row), source.scene.rgb[frame][source.keep[frame]])


def test_path_and_prompt_hold_for_all_time(source, recording):
    (path,), (prompt,) = recording[rerun.TRAJECTORY], recording[rerun.PROMPT]
    assert path["static"]
    assert prompt["static"]
    np.testing.assert_allclose(array(path, "strips")[0], source.scene.cameras.centers, atol=1e-6)
    assert prompt["text"] == ["a room with a ball"]


def test_it_opens_as_arranged(source, tmp_path):
    rerun.write(source, tmp_path)
    reader = RrdReader(tmp_path / "scene.rrd")
    (blueprint,) = reader.blueprints()
    assert blueprint.application_id == "gen3r"
    views = [
        row["ViewBlueprint:class_identifier"]
        for chunk in reader.stream(store=blueprint)
        for row in chunk.to_record_batch().to_pylist()
        if "ViewBlueprint:class_identifier" in row
    ]
    assert sorted(views) == [["2D"], ["2D"], ["3D"]]


def test_points_of_all_frames_together_keep_to_the_limit(source, tmp_path):
    rerun.write(dataclasses.replace(source, options=ExportOptions(max_points=200)), tmp_path)
    read = rows(tmp_path / "scene.rrd")
    assert 100 < sum(len(row["positions"]) for row in read[rerun.FRAME_CLOUD]) <= 200


def test_with_the_extra_the_mesh_is_there(source, tmp_path, monkeypatch):
    pytest.importorskip("open3d")
    monkeypatch.setattr(optional_mesh, "_EXTRA", MESH)
    rerun.write(source, tmp_path)
    (row,) = rows(tmp_path / "scene.rrd")[rerun.MESH]
    np.testing.assert_array_equal(array(row, "vertex_positions"), source.mesh.vertices)
    np.testing.assert_array_equal(array(row, "triangle_indices"), source.mesh.faces)
    np.testing.assert_array_equal(array(row, "vertex_normals"), source.mesh.normals)
    np.testing.assert_array_equal(colors(row, "vertex_colors"), source.mesh.colors)


@pytest.mark.parametrize("kind", ["nothing", "one frame"])
def test_degenerate_scenes(tmp_path, kind):
    scene = room_scene(1, 12, 16)
    if kind == "nothing":
        scene = dataclasses.replace(scene, mask=torch.zeros_like(scene.mask))
    source = ExportSource(scene)
    rerun.write(source, tmp_path)
    read = rows(tmp_path / "scene.rrd")
    assert len(read[rerun.CAMERA]) == 1
    assert len(read[rerun.CLOUD][0]["positions"]) == len(source.cloud)
    assert (len(source.cloud) == 0) == (kind == "nothing")
