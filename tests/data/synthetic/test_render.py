"""Depth and pictures of scenes known by formula."""

import os
import subprocess
import sys

import pytest
import torch

from data.synthetic.known import known_scene, level_cameras
from gen3r.cameras import camera_rays, project, unproject
from gen3r.data.synthetic.description import Shape
from gen3r.data.synthetic.intersection import GROUND_REACH
from gen3r.data.synthetic.render import render

EYE = torch.tensor([[0.0, 2.0, 0.0]])


def test_depth_of_a_wall_is_its_distance_everywhere() -> None:
    _, depth = render(known_scene(room=(3.0, 50.0, 7.25)), level_cameras(EYE + torch.tensor([0, 20.0, 0]), fov=0.3))
    torch.testing.assert_close(depth, torch.full_like(depth, 7.25), atol=1e-5, rtol=0)


def test_depth_of_a_turned_box_face_follows_its_plane() -> None:
    scene = known_scene((Shape.BOX, (0.0, 2.0, -6.0), (9.0, 9.0, 0.5), 0.4, 0.0))
    cameras = level_cameras(EYE, fov=0.5)
    _, depth = render(scene, cameras)
    normal = torch.tensor([torch.sin(torch.tensor(0.4)), 0.0, torch.cos(torch.tensor(0.4))])
    off_plane = (unproject(depth, cameras) - torch.tensor([0.0, 2.0, -6.0])) @ normal - 0.5
    assert float(off_plane.abs().max()) < 1e-4


def test_depth_of_a_sphere() -> None:
    radius, away = 1.25, 5.0
    cameras = level_cameras(EYE, fov=0.5)
    _, depth = render(known_scene((Shape.ELLIPSOID, (0.0, 2.0, -away), (radius,) * 3, 0.3, 0.2)), cameras)
    _, directions = camera_rays(cameras)
    directions = directions.double() / directions.double().norm(dim=-1, keepdim=True)
    cosine = -directions[..., 2]
    inside = radius**2 - away**2 * (1 - cosine**2)
    expected = (away * cosine - inside.clamp_min(0).sqrt()) * cosine
    on_sphere = inside > 1e-2
    assert on_sphere.sum() > 300
    torch.testing.assert_close(depth[on_sphere].double(), expected[on_sphere], atol=2e-5, rtol=1e-5)


def test_ground_reaches_to_the_horizon_and_the_sky_has_no_depth() -> None:
    cameras = level_cameras(EYE)
    _, depth = render(known_scene(), cameras)
    rows = torch.arange(cameras.height) + 0.5
    slope = (rows - cameras.height / 2) / cameras.intrinsics[0, 1, 1]
    expected = torch.where(slope > 0, 2.0 / slope, 0.0)
    expected = torch.where(expected < GROUND_REACH, expected, 0.0)
    torch.testing.assert_close(depth[0], expected[:, None].expand_as(depth[0]), atol=1e-4, rtol=1e-5)


def test_a_point_is_seen_where_it_projects_in_every_frame() -> None:
    point = torch.tensor([0.4, 1.7, -4.0])
    eyes = torch.stack([torch.tensor([0.3 * i - 0.6, 2.0 - 0.1 * i, 0.2 * i]) for i in range(5)])
    cameras = level_cameras(eyes, 65, 81)
    _, empty = render(known_scene(room=(6.0, 5.0, 6.0)), cameras, samples=1)
    ball = (Shape.ELLIPSOID, tuple(point.tolist()), (0.12,) * 3, 0.0, 0.0)
    _, depth = render(known_scene(ball, room=(6.0, 5.0, 6.0)), cameras, samples=1)
    pixels, _ = project(point.expand(5, 1, 3), cameras)
    for frame in range(5):
        rows, columns = (depth[frame] != empty[frame]).nonzero().float().unbind(1)
        assert len(rows) >= 4
        seen = torch.stack((columns.mean(), rows.mean())) + 0.5
        torch.testing.assert_close(seen, pixels[frame, 0], atol=0.5, rtol=0)


def test_samples_agree_on_flat_colour_and_differ_at_edges() -> None:
    scene = known_scene((Shape.BOX, (0.0, 2.0, -4.0), (0.8, 0.8, 0.1), 0.3, 0.2), emission=1.0)
    colors = {count: render(scene, level_cameras(EYE, 24, 24), samples=count)[0] for count in (1, 2, 4)}
    for color in colors.values():
        assert torch.isfinite(color).all()
        assert color.min() >= 0
        assert color.max() <= 1
    change = (colors[4] - colors[1]).abs().amax(-1)
    assert float(change.median()) < 0.02
    assert float(change.max()) > 0.1


def test_other_sample_counts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one of \(1, 2, 4\), got 3"):
        render(known_scene(), level_cameras(EYE), samples=3)


COMPARE = """
import torch
from gen3r.data.synthetic import generate_clip
for seed in (202, 204, 208):
    eager, compiled = (generate_clip(seed, 2, 40, 40, samples=1, compiled=flag) for flag in (False, True))
    assert (eager.rgb.float() - compiled.rgb.float()).abs().mean() < 0.05
    assert ((eager.depth - compiled.depth).abs() < 1e-3).float().mean() > 0.999
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif("GEN3R_COMPILE_TESTS" not in os.environ, reason="compiles for minutes; set GEN3R_COMPILE_TESTS=1")
def test_compiled_gives_the_same_pictures() -> None:
    """In a process of its own: the annotations checked in tests cannot be compiled."""
    subprocess.run([sys.executable, "-c", COMPARE], check=True, timeout=1100)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_agrees_with_cpu() -> None:
    scene = known_scene((Shape.CONE, (0.3, 1.6, -4.0), (0.8, 0.9, 0.8), 0.3, 0.2), room=(4.0, 3.0, 5.0))
    cameras = level_cameras(EYE)
    color, depth = render(scene, cameras, samples=2)
    gpu_color, gpu_depth = render(scene.to("cuda"), cameras, samples=2)
    assert float((gpu_color.cpu() - color).abs().mean()) < 1e-3
    assert float(((gpu_depth.cpu() - depth).abs() < 1e-4).float().mean()) > 0.999
