"""Every file format, read again by somebody else's reader."""

import dataclasses
import json
from typing import get_args

import numpy as np
import plyfile
import pytest
import torch
import trimesh
from PIL import Image

from gen3r.cameras.cameras import Cameras
from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.provenance import record
from gen3r.scene.camera_files import read_cameras
from gen3r.scene.export.folder import export_scene
from gen3r.scene.export.options import CleaningLevel, ExportOptions
from gen3r.scene.export.preview_png import facts
from gen3r.scene.export.registry import find_formats
from gen3r.scene.export.source import ExportSource
from gen3r.scene.export.video import write_h264
from gen3r.scene.input_views import InputViews
from gen3r.scene.scene import Scene
from scene.export_readers import decode, glb_json
from scene.rooms import room_scene

FRAMES, HEIGHT, WIDTH = 3, 27, 37  # odd on purpose
LEVELS = get_args(CleaningLevel)


@pytest.fixture(scope="module")
def source() -> ExportSource:
    scene = room_scene(FRAMES, HEIGHT, WIDTH)
    view = scene.rgb[0].permute(2, 0, 1) / 255
    return ExportSource(scene, InputViews(images=(view, view[:, :20]), frames=(0, 2)))


@pytest.fixture(scope="module")
def nothing_seen(source) -> ExportSource:
    """A scene without a single surface."""
    return ExportSource(dataclasses.replace(source.scene, mask=torch.zeros_like(source.scene.mask)), source.views)


def export(name, source, folder):
    (item,) = find_formats([name])
    item.writer()(source, folder)


class TestVideo:
    def test_rgb_plays_everywhere_and_shows_the_frames(self, source, tmp_path):
        export("mp4", source, tmp_path)
        codec, pixels, frames = decode(tmp_path / "rgb.mp4")
        assert (codec, pixels) == ("h264", "yuv420p")
        assert frames.shape == (FRAMES, HEIGHT + 1, WIDTH + 1, 3)
        error = np.abs(frames[:, :HEIGHT, :WIDTH].astype(int) - source.scene.rgb.numpy())
        assert error.mean() < 8  # colour is stored at half resolution

    def test_index_comes_first(self, source, tmp_path):
        export("mp4", source, tmp_path)
        data = (tmp_path / "rgb.mp4").read_bytes()
        assert 0 < data.index(b"moov") < data.index(b"mdat")

    @pytest.mark.parametrize("color", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (255, 255, 255)])
    def test_colours_survive(self, tmp_path, color):
        write_h264(tmp_path / "flat.mp4", [np.full((32, 32, 3), color, dtype=np.uint8)] * 2)
        _, _, frames = decode(tmp_path / "flat.mp4")
        assert np.abs(frames.astype(int) - np.array(color)).max() <= 3

    def test_depth_uses_one_range_for_the_clip(self, source, tmp_path):
        """The same depth has the same colour whatever else its frame shows."""
        depth = torch.full((2, 32, 32), 4.0)
        depth[0, :, 16:], depth[1, :, 16:] = 1.0, 8.0
        ones = torch.ones_like(depth)
        scene = Scene(
            rgb=torch.zeros(2, 32, 32, 3, dtype=torch.uint8),
            depth=depth,
            confidence=ones,
            points=torch.zeros(2, 32, 32, 3),
            mask=ones.bool(),
            cameras=Cameras(torch.eye(4).repeat(2, 1, 1), torch.eye(3).repeat(2, 1, 1), 32, 32),
        )
        export("mp4", ExportSource(scene), tmp_path)
        _, _, frames = decode(tmp_path / "depth.mp4")
        first, second = frames[:, :, 2:12].astype(int)
        assert np.abs(first - second).max() <= 6
        assert frames[0, :, 20:].mean() > frames[0, :, :12].mean() > frames[1, :, 20:].mean()  # near is bright


class TestDepthPng:
    def test_scale_in_the_record_gives_depth_back(self, source, tmp_path):
        export("depth", source, tmp_path)
        export("scene", source, tmp_path)
        scale = json.loads((tmp_path / "scene.json").read_text())["depth_png"]["scale"]
        for index in range(FRAMES):
            with Image.open(tmp_path / f"depth/frame{index:05d}.png") as picture:
                assert picture.mode == "I;16"
                assert float(picture.info["depth_scale"]) == scale
                steps = np.asarray(picture).astype(np.float64)
            mask = source.scene.mask[index].numpy()
            assert ((steps > 0) == mask).all()
            error = np.abs(steps * scale - source.scene.depth[index].numpy())[mask]
            assert error.max() <= 0.51 * scale


class TestDepthExr:
    def test_depth_comes_back_exactly(self, source, tmp_path):
        OpenEXR = pytest.importorskip("OpenEXR")
        export("exr", source, tmp_path)
        for index in range(FRAMES):
            picture = OpenEXR.File(str(tmp_path / f"depth_exr/frame{index:05d}.exr"))
            assert list(picture.channels()) == ["Z"]
            expected = torch.where(source.scene.mask[index], source.scene.depth[index], 0.0)
            assert (picture.channels()["Z"].pixels == expected.numpy()).all()
            assert picture.header()["depthUnits"] == "scene units"


class TestNpz:
    def test_arrays_come_back_without_pickle(self, source, tmp_path):
        export("npz", source, tmp_path)
        scene = source.scene
        with np.load(tmp_path / "scene.npz", allow_pickle=False) as arrays:
            for name in ("rgb", "depth", "confidence", "mask"):
                assert (arrays[name] == getattr(scene, name).numpy()).all()
            assert (arrays["keep"] == source.keep.numpy()).all()
            assert (arrays["extrinsics"] == scene.cameras.extrinsics.numpy()).all()
            assert (arrays["points"][arrays["mask"]] == scene.world_points()[scene.mask].numpy()).all()
            explained = {line.split()[0] for line in str(arrays["conventions"]).splitlines()[1:]}
            assert explained == set(arrays) - {"conventions"}

    def test_its_points_lie_on_their_pixels(self, source, tmp_path):
        """By the conventions it states, with nothing but numpy."""
        export("npz", source, tmp_path)
        with np.load(tmp_path / "scene.npz") as arrays:
            frame, row, column = 1, 20, 11
            point = arrays["extrinsics"][frame] @ [*arrays["points"][frame, row, column], 1.0]
            pixel = arrays["intrinsics"][frame] @ point[:3]
        assert pixel[2] == pytest.approx(float(source.scene.depth[frame, row, column]), rel=1e-5)
        assert pixel[:2] / pixel[2] == pytest.approx([column + 0.5, row + 0.5], abs=1e-4)


class TestOptions:
    def test_cleaning_reaches_the_cloud(self, source):
        sizes = [len(ExportSource(source.scene, options=ExportOptions(clean=level)).cloud) for level in LEVELS]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] > sizes[-1]

    def test_limits_reach_the_file(self, source, tmp_path):
        export("scene", source, tmp_path)
        export_scene(tmp_path, ["ply"], tmp_path / "out", options=ExportOptions(max_points=50))
        with (tmp_path / "out" / "points.ply").open("rb") as file:
            assert 40 <= len(plyfile.PlyData.read(file)["vertex"]) <= 50

    @pytest.mark.parametrize("wrong", [{"max_points": 0}, {"max_faces": -1}])
    def test_impossible_limits_are_refused(self, wrong):
        with pytest.raises(ValueError, match="at least 1"):
            ExportOptions(**wrong)


class TestPly:
    def test_points_colours_confidence(self, source, tmp_path):
        export("ply", source, tmp_path)
        with (tmp_path / "points.ply").open("rb") as file:
            data = plyfile.PlyData.read(file)
        vertex = data["vertex"]
        assert (data.text, data.byte_order) == (False, "<")
        xyz = np.stack([vertex[axis] for axis in "xyz"], axis=-1)
        assert (xyz == source.cloud.points.numpy()).all()
        rgb = np.stack([vertex[name] for name in ("red", "green", "blue")], axis=-1)
        assert (rgb == source.cloud.colors.numpy()).all()
        assert (vertex["confidence"] == source.cloud.confidence.numpy()).all()

    def test_trimesh_reads_it_too(self, source, tmp_path):
        export("ply", source, tmp_path)
        cloud = trimesh.load(tmp_path / "points.ply")
        np.testing.assert_allclose(cloud.vertices, source.cloud.points.numpy(), rtol=1e-6)
        assert (cloud.colors[:, :3] == source.cloud.colors.numpy()).all()


class TestGlb:
    def test_points_arrive_y_up(self, source, tmp_path):
        export("glb", source, tmp_path)
        loaded = trimesh.load(tmp_path / "scene.glb")
        node = next(name for name in loaded.graph.nodes_geometry if "points" in name)
        transform, geometry = loaded.graph[node]
        world = trimesh.transform_points(loaded.geometry[geometry].vertices, transform)
        np.testing.assert_allclose(world, source.cloud.points.numpy() * [1, -1, -1], atol=1e-6)

    def test_cameras_are_gltf_cameras(self, source, tmp_path):
        export("glb", source, tmp_path)
        document = glb_json(tmp_path / "scene.glb")
        nodes = [node for node in document["nodes"] if "camera" in node]
        assert len(nodes) == len(document["cameras"]) == FRAMES
        flip = np.diag([1.0, -1, -1, 1])
        for index, node in enumerate(nodes):
            pose = np.array(node["matrix"]).reshape(4, 4).T  # column-major
            expected = source.scene.cameras.world_from_camera[index].double().numpy() @ flip
            np.testing.assert_allclose(pose, expected, atol=1e-6)
            camera = document["cameras"][node["camera"]]
            intrinsics = source.scene.cameras.intrinsics[index].double().numpy()
            np.testing.assert_allclose(camera["extras"]["intrinsics"], intrinsics)
            half = np.tan(camera["perspective"]["yfov"] / 2)
            assert half * 2 * intrinsics[1, 1] == pytest.approx(HEIGHT)
            assert half * camera["perspective"]["aspectRatio"] * 2 * intrinsics[0, 0] == pytest.approx(WIDTH)

    @pytest.mark.parametrize("factor", [1.0, 1e-4, 1e4])
    def test_the_near_plane_is_before_everything_in_any_unit(self, source, tmp_path, factor):
        scene = source.scene
        depth, cameras = scene.depth * factor, scene.cameras.scaled(factor)
        export("glb", ExportSource(dataclasses.replace(scene, depth=depth, cameras=cameras)), tmp_path)
        nearest = float(depth[scene.mask].min())
        for camera in glb_json(tmp_path / "scene.glb")["cameras"]:
            assert nearest / 100 < camera["perspective"]["znear"] < nearest

    def test_accessors_fit_their_buffer(self, source, tmp_path):
        export("glb", source, tmp_path)
        document = glb_json(tmp_path / "scene.glb")
        size = {5126: 4, 5121: 1}
        lanes = {"VEC3": 3, "VEC4": 4}
        for accessor in document["accessors"]:
            view = document["bufferViews"][accessor["bufferView"]]
            assert accessor["count"] * size[accessor["componentType"]] * lanes[accessor["type"]] == view["byteLength"]
            assert view["byteOffset"] % 4 == 0
            assert view["byteOffset"] + view["byteLength"] <= document["buffers"][0]["byteLength"]

    def test_colours_are_linear(self, tmp_path, source):
        """The sRGB transfer curve at mid grey: 188 of 255 is half the light."""
        grey = dataclasses.replace(source.scene, rgb=torch.full_like(source.scene.rgb, 188))
        export("glb", ExportSource(grey), tmp_path)
        document = glb_json(tmp_path / "scene.glb")
        points = next(mesh for mesh in document["meshes"] if mesh["name"] == "points")
        accessor = document["accessors"][points["primitives"][0]["attributes"]["COLOR_0"]]
        view = document["bufferViews"][accessor["bufferView"]]
        data = (tmp_path / "scene.glb").read_bytes()
        start = data.index(b"BIN\0") + 4 + view["byteOffset"]
        rgba = np.frombuffer(data[start : start + 4], dtype=np.uint8)
        assert rgba.tolist() == [128, 128, 128, 255]


def test_cameras_come_back(source, tmp_path):
    export("cameras", source, tmp_path)
    cameras = read_cameras(tmp_path / "cameras.json")
    torch.testing.assert_close(cameras.extrinsics, source.scene.cameras.extrinsics, atol=1e-5, rtol=0)
    torch.testing.assert_close(cameras.intrinsics, source.scene.cameras.intrinsics, atol=1e-5, rtol=0)


def test_preview_shows_colours_and_cloud(source, nothing_seen, tmp_path):
    export("preview", source, tmp_path)
    with Image.open(tmp_path / "preview.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] == 1640
    ball = (pixels[..., 2].astype(int) - pixels[..., 0] > 60) & (pixels[..., 2] < 220)
    assert ball[-560:].sum() > 300  # the blue ball, among the rendered points at the bottom
    export("preview", nothing_seen, tmp_path)
    with Image.open(tmp_path / "preview.png") as picture:
        assert picture.height < pixels.shape[0]  # no empty panels


def test_preview_names_what_made_the_scene(source):
    """With the record that the pipeline writes."""
    made_by = record(
        PipelineConfig(name="tiny"), kind="generated", settings={"prompt": "a lake", "seed": 7}, timings={}
    )
    scene = dataclasses.replace(source.scene, provenance=made_by)
    assert facts(scene) == ['"a lake"', "3 frames   |   27 x 37 pixels   |   model tiny   |   seed 7"]


def test_views_come_back_with_their_frames(source, tmp_path):
    export("scene", source, tmp_path)
    views = InputViews.load(tmp_path)
    assert views is not None
    assert views.frames == (0, 2)
    for image, original in zip(views.images, source.views.images, strict=True):
        torch.testing.assert_close(image, original, atol=0.5 / 255 + 1e-6, rtol=0)


@pytest.mark.parametrize(("count", "frames"), [(2, (0,)), (2, (1, 1)), (0, ())])
def test_views_need_one_frame_each(count, frames):
    with pytest.raises(ValueError, match="distinct frame index"):
        InputViews(images=(torch.zeros(3, 4, 4),) * count, frames=frames)
