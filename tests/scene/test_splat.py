import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import project
from gen3r.scene.frusta import frustum_corners
from gen3r.scene.splat import shaded, splat
from gen3r.scene.viewpoints import outside_camera
from scene.rooms import room_cameras, room_scene

CAMERA = Cameras(torch.eye(4), torch.tensor([[20.0, 0, 16], [0, 20, 12], [0, 0, 1]]), 24, 32)


def test_a_point_is_seen_at_its_pixel():
    index, depth = splat(torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([0.0]), CAMERA)
    assert (index >= 0).nonzero().tolist() == [[12, 16]]
    assert depth[12, 16] == 2.0
    assert torch.isinf(depth).sum() == depth.numel() - 1


@given(st.permutations(range(4)))
def test_the_nearest_point_wins_whatever_the_order(order):
    points = torch.tensor([[0.0, 0, 1], [0, 0, 2], [0, 0, 3], [0, 0, -1]])[list(order)]
    index, depth = splat(points, torch.full((4,), 0.1), CAMERA)
    assert points[index[12, 16], 2] == 1.0
    assert depth[12, 16] == 1.0


def test_splatting_a_frame_gives_the_frame_back():
    scene = room_scene(1, 24, 32)
    points, colors = scene.world_points()[scene.mask], scene.rgb[scene.mask]
    index, depth = splat(points, torch.zeros(len(points)), scene.cameras[0])
    assert torch.equal(index >= 0, scene.mask[0])
    torch.testing.assert_close(depth[index >= 0], scene.depth[scene.mask], atol=1e-5, rtol=0)
    picture = shaded(colors, index, depth, background=(1, 2, 3), strength=0.0)
    assert torch.equal(picture[scene.mask[0]], scene.rgb[scene.mask])
    assert (picture[~scene.mask[0]] == torch.tensor([1, 2, 3])).all()


def test_shading_only_darkens_what_lies_behind():
    points = torch.tensor([[-0.1, 0.0, 2.0], [0.05, 0.0, 1.0]])
    index, depth = splat(points, torch.tensor([0.3, 0.1]), CAMERA)
    picture = shaded(torch.full((2, 3), 200).byte(), index, depth, background=(0, 0, 0))
    assert (picture[index == 1] == 200).all()
    assert (picture[index == 0] < 200).any()


def test_no_points_is_an_empty_picture():
    index, _ = splat(torch.zeros(0, 3), torch.zeros(0), CAMERA)
    assert (index == -1).all()


@pytest.mark.parametrize(("azimuth", "elevation"), [(28, 20), (-30, 52), (0, 0), (180, -30)])
def test_outside_cameras_have_the_content_in_view(azimuth, elevation):
    scene = room_scene(4, 24, 32)
    points = scene.points[scene.mask]
    camera = outside_camera(
        points, scene.cameras, azimuth=float(azimuth), elevation=float(elevation), height=120, width=160
    )
    camera.validate()
    pixels, depth = project(torch.cat([points, scene.cameras.centers]), camera)
    size = torch.tensor([160, 120])
    inside = ((pixels >= 0) & (pixels <= size)).all(-1) & (depth > 0)
    assert inside[-4:].all()
    assert inside.float().mean() > 0.95
    spans = (pixels[inside].max(0).values - pixels[inside].min(0).values) / size
    assert spans.max() > 0.9


def test_zero_angles_look_along_the_mean_view_from_behind():
    cameras = room_cameras(1, 24, 32)
    points = torch.tensor([[0.0, 0, 4], [1, 0, 4], [-1, 0, 4], [0, 1, 4], [0, -1, 4]])
    camera = outside_camera(points, cameras, azimuth=0.0, elevation=0.0, height=50, width=50)
    torch.testing.assert_close(camera.extrinsics[:3, :3], torch.eye(3), atol=1e-6, rtol=0)
    assert camera.centers[2] < 0


def test_frustum_corners_project_to_the_image_corners():
    cameras = room_cameras(3, 24, 32)
    corners = frustum_corners(cameras, 0.5)
    torch.testing.assert_close(corners[:, 0], cameras.centers)
    pixels, depth = project(corners[:, 1:], cameras)
    expected = torch.tensor([[0.0, 0], [32, 0], [32, 24], [0, 24]]).expand(3, 4, 2)
    torch.testing.assert_close(pixels, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(depth, torch.full((3, 4), 0.5))
