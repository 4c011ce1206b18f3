"""COLMAP models, read again by COLMAP's own library and improved by its bundle adjustment."""

import dataclasses

import numpy as np
import pycolmap
import pytest
import torch
from PIL import Image

from gen3r.cameras.alignment import umeyama
from gen3r.scene.export.colmap import write
from gen3r.scene.export.options import ExportOptions
from gen3r.scene.export.source import ExportSource
from gen3r.scene.scene import Scene
from scene.rooms import BALL, room_scene

FRAMES, HEIGHT, WIDTH = 5, 45, 60


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Equally sure of everything: cleaning drops no frame as the least confident one."""
    room = room_scene(FRAMES, HEIGHT, WIDTH)
    return dataclasses.replace(room, confidence=room.mask.float())


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    write(ExportSource(scene), folder)
    return folder / "colmap"


def read(folder, form):
    model = pycolmap.Reconstruction()
    getattr(model, f"read_{form}")(folder / "sparse" / "0")
    return model


def by_frame(model):
    return [model.images[i + 1] for i in range(len(model.images))]


def pose(image):
    return np.vstack([image.cam_from_world().matrix(), [0, 0, 0, 1]])


@pytest.mark.parametrize("form", ["text", "binary"])
def test_cameras_agree(scene, folder, form):
    model = read(folder, form)
    assert len(model.images) == FRAMES
    for index, image in enumerate(by_frame(model)):
        camera = model.cameras[image.camera_id]
        assert (camera.model.name, camera.height, camera.width) == ("PINHOLE", HEIGHT, WIDTH)
        np.testing.assert_allclose(pose(image), scene.cameras.extrinsics[index].double().numpy(), atol=1e-5)
        np.testing.assert_allclose(camera.calibration_matrix(), scene.cameras.intrinsics[index].double(), atol=1e-5)
        with Image.open(folder / "images" / image.name) as picture:
            assert (np.asarray(picture) == scene.rgb[index].numpy()).all()


@pytest.mark.parametrize("form", ["text", "binary"])
def test_a_known_point_is_at_its_pixel_in_every_frame(scene, folder, form):
    """The middle of the ball is blue wherever it is projected; a corner of the room is where arithmetic says."""
    corner = np.array([2.5, 1.2, 6.0])
    seen = 0
    for index, image in enumerate(by_frame(read(folder, form))):
        x, y = image.project_point(BALL.double().numpy())
        red, _, blue = scene.rgb[index, int(y), int(x)].tolist()
        assert blue > red + 50
        extrinsics, intrinsics = (
            m[index].double().numpy() for m in (scene.cameras.extrinsics, scene.cameras.intrinsics)
        )
        u, v, w = intrinsics @ (extrinsics[:3, :3] @ corner + extrinsics[:3, 3])
        np.testing.assert_allclose(image.project_point(corner), [u / w, v / w], atol=1e-4)
        seen += 1
    assert seen == FRAMES


def test_text_and_binary_say_the_same(folder):
    text, binary = read(folder, "text"), read(folder, "binary")
    assert set(text.points3D) == set(binary.points3D)
    for key, point in text.points3D.items():
        other = binary.points3D[key]
        assert (point.xyz == other.xyz).all()
        assert (point.color == other.color).all()
        assert [(e.image_id, e.point2D_idx) for e in point.track.elements] == [
            (e.image_id, e.point2D_idx) for e in other.track.elements
        ]
    for one, other in zip(by_frame(text), by_frame(binary), strict=True):
        assert (pose(one) == pose(other)).all()
        assert one.name == other.name


def test_tracks_are_consistent(scene, folder):
    """Every point is seen at least twice, exactly where it projects, and never through something in front of it."""
    model = read(folder, "binary")
    assert len(model.points3D) > 0.5 * HEIGHT * WIDTH
    images = by_frame(model)
    hidden = 0
    for point in list(model.points3D.values())[::3]:
        assert point.track.length() >= 2
        assert 0 <= point.error < 1e-6
        observers = {element.image_id - 1 for element in point.track.elements}
        assert len(observers) == point.track.length()
        for index, image in enumerate(images):
            z = pose(image)[2] @ np.append(point.xyz, 1)
            place = image.project_point(point.xyz) if z > 0 else None
            if place is None or not ((place >= 0) & (place < (WIDTH, HEIGHT))).all():
                assert index not in observers
                continue
            around = surroundings(scene.depth[index].numpy(), place)
            if index in observers:
                assert 0.95 * around.min() < z < 1.05 * around.max()
            elif z > 1.1 * around.max():
                hidden += 1
    assert hidden > 10  # the ball does hide something


def surroundings(depth, place):
    x, y = int(place[0]), int(place[1])
    return depth[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]


def test_points_are_capped(scene, tmp_path):
    write(ExportSource(scene, options=ExportOptions(max_points=300)), tmp_path)
    count = len(read(tmp_path / "colmap", "binary").points3D)
    assert 100 < count <= 300


def test_a_single_frame_keeps_its_points(tmp_path):
    write(ExportSource(room_scene(1, 12, 16)), tmp_path)
    model = read(tmp_path / "colmap", "text")
    assert len(model.images) == 1
    assert len(model.points3D) > 50


def test_frames_of_different_lenses_have_their_own_cameras(scene, tmp_path):
    zoom = torch.diag(torch.tensor([1.1, 1.1, 1.0]))
    intrinsics = scene.cameras.intrinsics.clone()
    intrinsics[2:] = intrinsics[2:] @ zoom
    cameras = dataclasses.replace(scene.cameras, intrinsics=intrinsics)
    write(ExportSource(dataclasses.replace(scene, cameras=cameras)), tmp_path)
    model = read(tmp_path / "colmap", "binary")
    assert len(model.cameras) == 2
    for index, image in enumerate(by_frame(model)):
        matrix = model.cameras[image.camera_id].calibration_matrix()
        np.testing.assert_allclose(matrix, intrinsics[index].double(), atol=1e-5)


def test_bundle_adjustment_brings_a_disturbed_model_back(scene, tmp_path):
    """COLMAP's own trainer takes the model: from pixels of error to nothing, and to the true cameras."""
    write(ExportSource(scene, options=ExportOptions(max_points=400)), tmp_path)
    model = read(tmp_path / "colmap", "binary")
    assert model.compute_mean_reprojection_error() < 0.5
    rng = np.random.default_rng(0)
    for point in model.points3D.values():
        point.xyz = point.xyz + rng.normal(scale=0.1, size=3)
    for image in by_frame(model):
        turn = pycolmap.Rigid3d(pycolmap.Rotation3d(rng.normal(scale=0.01, size=3)), rng.normal(scale=0.05, size=3))
        image.frame.rig_from_world = turn * image.frame.rig_from_world
    model.update_point_3d_errors()
    assert model.compute_mean_reprojection_error() > 1.0
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_focal_length = options.refine_principal_point = options.refine_extra_params = False
    options.print_summary = False
    pycolmap.bundle_adjustment(model, options)
    model.update_point_3d_errors()
    assert model.compute_mean_reprojection_error() < 0.1
    centers = torch.from_numpy(np.stack([image.projection_center() for image in by_frame(model)]))
    truth = scene.cameras.centers.double()
    torch.testing.assert_close(umeyama(centers, truth).apply(centers), truth, atol=1e-3, rtol=0)
