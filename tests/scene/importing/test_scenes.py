"""Scenes from known depth and points: what was exported comes back, on the surfaces of the room it shows."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from plyfile import PlyData, PlyElement

from gen3r.data.schema import write_clip
from gen3r.data.synthetic import generate_clip
from gen3r.scene.camera_files import write_cameras
from gen3r.scene.export.registry import find_formats
from gen3r.scene.export.source import ExportSource
from gen3r.scene.importing.depth import read_depth_png
from gen3r.scene.importing.points import depth_of_points, read_ply_points
from gen3r.scene.importing.scenes import read_scene, scene_from_depth, scene_from_points
from gen3r.scene.scene import RECORD_FILE, Scene
from scene.rooms import BALL, RADIUS, room_scene

FRAMES, HEIGHT, WIDTH = 4, 36, 48


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Equally sure of everything: cleaning drops no frame as the least confident one."""
    room = room_scene(FRAMES, HEIGHT, WIDTH)
    return dataclasses.replace(room, confidence=room.mask.float())


def exported(scene, folder, *names):
    folder.mkdir(exist_ok=True)
    for item in find_formats(names):
        item.writer()(ExportSource(scene), folder)
    return folder


def own_folder(scene, folder):
    """Pictures, cameras.json and depth, as somebody would put them together by hand."""
    exported(scene, folder, "cameras", "png", "colmap")
    (folder / "colmap" / "images").rename(folder / "images")
    return folder


def distance_to_room(points):
    """Of every point [..., 3] to the nearest wall, floor, ceiling or the ball."""
    x, y, z = points.unbind(-1)
    ball = ((points - BALL).norm(dim=-1) - RADIUS).abs()
    surfaces = [(x.abs() - 2.5).abs(), (z - 6.0).abs(), (y - 1.2).abs(), (y + 1.6).abs(), ball]
    return torch.stack(surfaces).min(dim=0).values


def assert_cameras_agree(found, expected):
    torch.testing.assert_close(found.extrinsics, expected.extrinsics, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.intrinsics, expected.intrinsics, atol=1e-5, rtol=0)


def test_nerfstudio_comes_back(scene, tmp_path):
    again = read_scene(exported(scene, tmp_path, "nerfstudio") / "nerfstudio")
    assert torch.equal(again.rgb, scene.rgb)
    assert torch.equal(again.mask, scene.mask)
    assert float((again.depth - scene.depth)[scene.mask].abs().max()) < 0.00051
    assert_cameras_agree(again.cameras, scene.cameras)
    assert float(distance_to_room(again.points)[again.mask].max()) < 0.001
    assert again.provenance["kind"] == "imported"


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_nerfstudio_in_another_unit_comes_back_in_its_own(scene, tmp_path, factor):
    large = dataclasses.replace(
        scene, depth=scene.depth * factor, points=scene.points * factor, cameras=scene.cameras.scaled(factor)
    )
    folder = exported(large, tmp_path, "nerfstudio") / "nerfstudio"
    again = read_scene(folder)
    torch.testing.assert_close(again.depth[again.mask], large.depth[scene.mask], atol=0.001 * factor, rtol=0)
    assert_cameras_agree(again.cameras, large.cameras)
    record = json.loads((folder / "transforms.json").read_text())
    for frame in record["frames"]:
        del frame["depth_file_path"]
    (folder / "transforms.json").write_text(json.dumps(record))
    (folder / "depth").rename(folder / "elsewhere")
    points = read_scene(folder)
    ratio = points.depth / large.depth
    assert float((ratio[points.mask & large.mask] - 1).abs().median()) < 0.02


def test_colmap_points_become_depth(scene, tmp_path):
    again = read_scene(exported(scene, tmp_path, "colmap") / "colmap")
    assert torch.equal(again.rgb, scene.rgb)
    assert_cameras_agree(again.cameras, scene.cameras)
    both = again.mask & scene.mask
    assert float(both.sum() / scene.mask.sum()) > 0.8  # what only one frame sees is no point of the model
    error = (again.depth / scene.depth - 1)[both].abs()
    assert float(error.median()) < 0.01  # a pixel of a slanted wall spans about as much
    assert float(error.quantile(0.9)) < 0.05


def test_a_folder_put_together_by_hand(scene, tmp_path):
    """cameras.json, images and depth whose pictures say their scale."""
    again = read_scene(own_folder(scene, tmp_path / "mine"))
    step = float(scene.depth.max()) / 65535
    assert float((again.depth - scene.depth)[scene.mask].abs().max()) < 0.51 * step
    assert torch.equal(again.mask, scene.mask)


def test_a_synthetic_clip_is_a_scene_too(tmp_path):
    clip = generate_clip(7, frames=2, height=16, width=24, samples=1)
    write_clip(clip, tmp_path / "clip", split="train", source="test", licence="CC0-1.0")
    again = read_scene(tmp_path / "clip")
    assert torch.equal(again.rgb, clip.rgb)
    valid = clip.depth > 0
    assert torch.equal(again.mask, valid)
    torch.testing.assert_close(again.depth[valid], clip.depth[valid], atol=float(clip.depth.max()) / 65535, rtol=0)


def test_depth_is_never_mixed_and_stays_on_the_room_when_resized_and_cropped(scene, tmp_path):
    folder = own_folder(scene, tmp_path / "mine")
    again = read_scene(folder, size=(72, 72), max_frames=2)
    assert tuple(again.depth.shape) == (2, 72, 72)
    known = torch.cat([scene.depth[scene.mask], torch.zeros(1)])
    differences = (again.depth[again.mask][:, None] - known[None]).abs().min(dim=1).values
    assert float(differences.max()) < 1e-3  # every depth is one that was there
    off = distance_to_room(again.points)[again.mask]
    assert float(off.median()) < 0.02  # nearest pixels at twice the size: at most a quarter of a pixel beside the ray
    assert torch.equal(again.cameras.extrinsics[0], torch.eye(4))


def test_pictures_at_another_resolution_than_the_cameras(scene, tmp_path):
    """As DL3DV has them: cameras of the full size, pictures and depth reduced."""
    folder = own_folder(scene, tmp_path / "mine")
    for path in folder.glob("images/*.png"):
        with Image.open(path) as picture:
            half = picture.resize((WIDTH // 2, HEIGHT // 2))
        half.save(path)
    again = read_scene(folder)
    assert tuple(again.depth.shape) == (FRAMES, HEIGHT // 2, WIDTH // 2)
    torch.testing.assert_close(again.cameras.intrinsics[0, :2], scene.cameras.intrinsics[0, :2] / 2)
    assert float(distance_to_room(again.points)[again.mask].median()) < 0.08


def test_the_first_camera_becomes_the_world_with_the_points(scene, tmp_path):
    """A world far away, turned and shifted, gives the same scene."""
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    pose[:3, 3] = torch.tensor([400_000.0, 5_000_000, 100])
    points = scene.world_points()[scene.mask].double() @ pose[:3, :3].T + pose[:3, 3]
    folder = own_folder(scene, tmp_path / "mine")
    here = read_scene(folder)
    for path in folder.glob("depth/*"):
        path.unlink()
    (folder / "cameras.json").unlink()
    inverse = torch.linalg.inv(pose)
    poses = torch.linalg.inv(scene.cameras.extrinsics.double() @ inverse)
    frame = {"w": WIDTH, "h": HEIGHT, "fl_x": 0.8 * WIDTH, "fl_y": 0.8 * WIDTH, "cx": 0.48 * WIDTH, "cy": 0.52 * HEIGHT}
    frames = [{**frame, "transform_matrix": matrix.tolist()} for matrix in poses]
    (folder / "transforms.json").write_text(
        json.dumps({"frames": frames, "camera_convention": "opencv", "ply_file_path": "scan.ply"})
    )
    columns = np.empty(len(points), dtype=[(axis, "<f8") for axis in "xyz"])
    for index, axis in enumerate("xyz"):
        columns[axis] = points[:, index].numpy()
    PlyData([PlyElement.describe(columns, "vertex")]).write(str(folder / "scan.ply"))
    away = read_scene(folder)
    torch.testing.assert_close(away.cameras.extrinsics, here.cameras.extrinsics, atol=1e-5, rtol=0)
    both = away.mask & here.mask
    assert float(both.float().mean()) > 0.8
    assert float((away.depth / here.depth - 1)[both].abs().median()) < 0.01


def test_what_is_in_front_hides_what_is_behind(scene):
    """All points of all frames, those on the wall behind the ball too: no frame sees the wall through the ball."""
    points = scene.world_points()[scene.mask]
    depth = depth_of_points(points, scene.cameras)
    assert float((depth > 0).float().mean()) > 0.9
    on_ball = scene.mask & ((scene.world_points() - BALL).norm(dim=-1) < RADIUS + 1e-3)
    seen = depth[on_ball]
    assert float((seen[seen > 0] > 1.3 * scene.depth[on_ball][seen > 0]).float().mean()) < 0.01


def test_priors_from_arrays(scene):
    depth = scene.depth.clone()
    depth[0, 0, :4] = torch.tensor([float("nan"), float("inf"), -1.0, 0.0])
    made = scene_from_depth(scene.rgb, scene.cameras, depth)
    assert not made.mask[0, 0, :4].any()
    assert float(distance_to_room(made.points)[made.mask].max()) < 1e-4
    few = scene_from_points(scene.rgb, scene.cameras, BALL[None])
    assert few.mask.flatten(1).any(dim=1).all()
    assert float(few.mask.float().mean()) < 0.01


class TestDepthPictures:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "depth.png"
        Image.fromarray(np.array([[0, 1000, 65535]], dtype=np.uint16)).save(path)
        return path

    def test_scales(self, path, scene, tmp_path):
        assert read_depth_png(path, scale=0.001).tolist() == [[0.0, 1.0, pytest.approx(65.535)]]
        assert read_depth_png(path, default_scale=0.01)[0, 1] == 10
        with pytest.raises(ValueError, match=r"depth\.png does not say.*0\.001"):
            read_depth_png(path)
        with pytest.raises(ValueError, match="must be positive"):
            read_depth_png(path, scale=0.0)
        own = sorted(exported(scene, tmp_path, "png").glob("depth/*"))[0]
        said = read_depth_png(own, default_scale=77.0)
        torch.testing.assert_close(said[scene.mask[0]], scene.depth[0][scene.mask[0]], atol=1e-4, rtol=0)
        torch.testing.assert_close(read_depth_png(own, scale=1.0) * float(scene.depth.max()) / 65535, said)

    def test_the_record_of_a_scene_knows_the_scale_too(self, scene, tmp_path):
        folder = own_folder(scene, tmp_path / "mine")
        for path in folder.glob("depth/*.png"):
            with Image.open(path) as picture:
                steps = np.asarray(picture)
            Image.fromarray(steps).save(path)  # the text is lost
        with pytest.raises(ValueError, match="does not say how long"):
            read_scene(folder)
        scale = float(scene.depth.max()) / 65535
        (folder / RECORD_FILE).write_text(json.dumps({"depth_png": {"scale": scale}}))
        assert float(read_scene(folder).depth.max()) == pytest.approx(float(scene.depth.max()), rel=1e-4)
        assert float(read_scene(folder, depth_scale=1.0).depth.max()) == 65535

    @pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b"depth", lambda b: b[: len(b) // 2]])
    def test_damage(self, path, damage):
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(ValueError, match=r"depth\.png"):
            read_depth_png(path, scale=1.0)

    def test_eight_bits_are_refused(self, tmp_path):
        Image.new("L", (4, 4)).save(tmp_path / "grey.png")
        with pytest.raises(ValueError, match=r"grey\.png must be a grey PNG of 16 bits"):
            read_depth_png(tmp_path / "grey.png", scale=1.0)


class TestClouds:
    @pytest.mark.parametrize(
        "content",
        [
            b"ply\n",
            b"ply\nformat binary_little_endian 1.0\nelement vertex 9000000000000\nproperty float x\nend_header\n1234",
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nend_header\n1 2\n",
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
            b"end_header\n1 2 nan\n",
            b"\xff\xfe",
        ],
    )
    def test_damage(self, tmp_path, content):
        (tmp_path / "scan.ply").write_bytes(content)
        with pytest.raises(ValueError, match=r"scan\.ply"):
            read_ply_points(tmp_path / "scan.ply")


class TestRefusals:
    @pytest.fixture
    def folder(self, scene, tmp_path):
        return own_folder(scene, tmp_path / "mine")

    def test_no_pictures(self, folder):
        (folder / "images").rename(folder / "photos")
        with pytest.raises(ValueError, match=r"name no pictures\. Put one per camera into .*images"):
            read_scene(folder)

    def test_a_trajectory_alone(self, scene, tmp_path):
        file = exported(scene, tmp_path, "tum") / "trajectory.txt"
        with pytest.raises(ValueError, match=r"trajectory\.txt holds cameras alone, which are no scene.*--cameras"):
            read_scene(file)

    def test_pictures_and_cameras_of_another_number(self, folder):
        next(folder.glob("images/*")).unlink()
        with pytest.raises(ValueError, match="3 pictures for 4 cameras"):
            read_scene(folder)

    def test_neither_depth_nor_points(self, folder):
        (folder / "depth").rename(folder / "gone")
        with pytest.raises(ValueError, match=r"no depth.*no points.*gen3r reconstruct"):
            read_scene(folder)

    def test_pictures_of_another_shape(self, folder, scene):
        write_cameras(folder / "cameras.json", dataclasses.replace(scene.cameras, width=HEIGHT, height=HEIGHT))
        with pytest.raises(ValueError, match=r"pictures of 36x36, but these are 36x48"):
            read_scene(folder)

    def test_depth_of_another_shape(self, folder):
        Image.fromarray(np.ones((HEIGHT, HEIGHT), dtype=np.uint16)).save(next(folder.glob("depth/*")))
        with pytest.raises(ValueError, match=r"is 36x36, but its picture is 36x48"):
            read_scene(folder, depth_scale=1.0)
