import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.cameras.pose_encoding import rotation_from_quaternion
from gen3r.scene.gaussians import (
    LONGEST,
    PIXEL_SIGMA,
    THICKNESS,
    gaussians_from_depth,
    opacity_from_confidence,
)
from scene.planes import FACING, HEIGHT, WIDTH, plane_scene
from scene.rooms import room_scene
from scene.splat_renderer import image_covariances, psnr, render


@given(st.floats(0, 2 * math.pi), st.floats(0, 0.9))
def test_a_splat_is_its_pixel_laid_on_the_surface(direction, tilt):
    """Lying flat on a slanted plane it still looks, from its own camera, as round and large as every other."""
    normal = torch.tensor([math.sin(tilt) * math.cos(direction), math.sin(tilt) * math.sin(direction), -math.cos(tilt)])
    scene = plane_scene(normal)
    splats = gaussians_from_depth(scene)
    torch.testing.assert_close(splats.means, scene.world_points()[scene.mask])
    axes = rotation_from_quaternion(splats.rotations.roll(-1, dims=-1))
    torch.testing.assert_close(axes[..., 2], normal.expand(len(splats), 3), atol=2e-3, rtol=0)
    assert (splats.rotations[:, 0] >= 0).all()
    longest, shorter, thickness = splats.scales.unbind(-1)
    assert (longest >= shorter * (1 - 1e-5)).all()
    torch.testing.assert_close(thickness, THICKNESS * shorter)
    flat = dataclasses.replace(splats, scales=splats.scales * torch.tensor([1.0, 1.0, 0.0]))
    covariances = image_covariances(flat, scene.cameras[0])
    limited = longest > 0.99 * LONGEST * shorter
    round_one = PIXEL_SIGMA**2 * torch.eye(2).expand(int((~limited).sum()), 2, 2)
    torch.testing.assert_close(covariances[~limited], round_one, atol=5e-3, rtol=0)


def test_grazing_splats_do_not_become_needles():
    splats = gaussians_from_depth(plane_scene(torch.tensor([0.0, -0.9999, -0.0141])))
    assert (splats.scales[:, 0] <= LONGEST * splats.scales[:, 1] * (1 + 1e-5)).all()
    assert (splats.scales[:, 0] > 0.97 * LONGEST * splats.scales[:, 1]).any()


def test_where_there_is_no_normal_a_splat_faces_its_camera():
    scene = plane_scene(FACING)
    alone = torch.zeros_like(scene.mask)
    alone[0, 5, 9] = True
    splats = gaussians_from_depth(dataclasses.replace(scene, mask=alone))
    axes = rotation_from_quaternion(splats.rotations.roll(-1, dims=-1))
    toward = -torch.nn.functional.normalize(splats.means, dim=-1)
    torch.testing.assert_close(axes[..., 2], toward, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frame", range(3))
def test_rendered_splats_look_like_the_frames(frame):
    scene = room_scene(3, 36, 48)
    splats = gaussians_from_depth(scene)
    picture, seen = render(splats, scene.cameras[frame], blur=0.1), scene.mask[frame]
    assert psnr(picture[seen], scene.rgb[frame][seen] / 255) > 24


def test_a_surface_seen_twice_is_there_once():
    once = plane_scene(FACING)
    twice = plane_scene(FACING, torch.eye(4).expand(2, 4, 4))
    assert len(gaussians_from_depth(twice)) == len(gaussians_from_depth(once)) == HEIGHT * WIDTH


@given(st.floats(0.01, 100.0))
def test_opacity_grows_with_confidence_whatever_its_scale(scale):
    confidence = torch.linspace(0, 10, 60).view(1, 6, 10)
    mask = torch.ones_like(confidence, dtype=torch.bool)
    opacity = opacity_from_confidence(confidence, mask)
    torch.testing.assert_close(opacity_from_confidence(confidence * scale, mask), opacity)
    assert (opacity.flatten().diff() >= 0).all()
    assert float(opacity.min()) == pytest.approx(0.3)
    assert 0.9 < float(opacity.max()) < 1


def test_equal_or_no_confidence_is_trusted_alike():
    mask = torch.ones(1, 2, 3, dtype=torch.bool)
    for confidence in (torch.zeros(1, 2, 3), torch.full((1, 2, 3), 7.0)):
        assert opacity_from_confidence(confidence, mask).unique().item() == pytest.approx(0.918, abs=1e-3)


def test_only_kept_pixels_become_splats():
    scene = room_scene(1, HEIGHT, WIDTH)
    keep = torch.rand(scene.mask.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    splats = gaussians_from_depth(scene, keep)
    assert torch.equal(splats.means, scene.world_points()[keep & scene.mask])
    assert torch.equal(splats.colors, scene.rgb[keep & scene.mask] / 255)


def test_fewer_splats_cover_as_much():
    scene = room_scene(1, 24, 32)
    every = gaussians_from_depth(scene)
    some = gaussians_from_depth(scene, max_splats=200)
    again = gaussians_from_depth(scene, max_splats=200)
    assert len(some) == 200
    assert torch.equal(some.means, again.means)
    area, full_area = (one.scales[:, :2].prod(-1).sum() for one in (some, every))
    assert float(area / full_area) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("keep", [None, torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)])
def test_no_surface_gives_no_splats(keep):
    scene = room_scene(2, HEIGHT, WIDTH)
    if keep is None:
        scene = dataclasses.replace(scene, mask=torch.zeros_like(scene.mask))
    assert len(gaussians_from_depth(scene, keep)) == 0


def test_what_is_wrong_is_said():
    scene = room_scene(1, HEIGHT, WIDTH)
    with pytest.raises(ValueError, match=r"keep must have the shape .*\(1, 12, 16\), got \(2, 12, 16\)"):
        gaussians_from_depth(scene, torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool))
    with pytest.raises(ValueError, match="max_splats must be at least 1"):
        gaussians_from_depth(scene, max_splats=0)
