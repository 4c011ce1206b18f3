"""An exact scene agrees with itself; whatever is broken in it shows in the number that is meant for it."""

from dataclasses import replace

import pytest
import torch

from gen3r.jobs.scenes.quality import measure_quality
from gen3r.scene.scene import Scene
from scene.rooms import room_scene

BACKWARDS = list(range(8, -1, -1))


@pytest.fixture(scope="module")
def room() -> Scene:
    return room_scene(9, 60, 80)


def test_an_exact_scene_agrees(room: Scene) -> None:
    quality = measure_quality(room)
    assert quality.agreement is not None
    assert quality.color_error is not None
    assert quality.agreement > 0.999
    assert quality.color_error < 0.02
    assert quality.valid == pytest.approx(float(room.mask.float().mean()), abs=1e-6)


def test_motion_is_the_shift_of_pixels(room: Scene) -> None:
    """A camera that slides sideways before a wall at depth z shifts it by focal length * step / z."""
    cameras = room.cameras
    poses = torch.eye(4).repeat(9, 1, 1)
    poses[:, 0, 3] = torch.arange(9) * 0.05
    sliding = type(cameras).from_world_from_camera(poses, cameras.intrinsics, 60, 80)
    wall = replace(room, cameras=sliding, depth=torch.full_like(room.depth, 2.0), mask=torch.ones_like(room.mask))
    quality = measure_quality(wall)
    assert quality.motion == pytest.approx(0.8 * 80 * 0.05 / 2.0 / 100, rel=1e-4)
    assert quality.agreement == 1.0


def test_other_cameras_are_noticed_by_depth_and_by_colour(room: Scene) -> None:
    good, bad = measure_quality(room), measure_quality(replace(room, cameras=room.cameras[BACKWARDS]))
    assert bad.agreement is not None
    assert bad.agreement < 0.9
    assert bad.color_error is not None
    assert good.color_error is not None
    assert bad.color_error > 3 * good.color_error


def test_another_video_is_noticed_by_colour_alone(room: Scene) -> None:
    good, bad = measure_quality(room), measure_quality(replace(room, rgb=room.rgb[BACKWARDS]))
    assert bad.agreement == good.agreement
    assert bad.color_error is not None
    assert good.color_error is not None
    assert bad.color_error > 3 * good.color_error


def test_depth_that_jumps_is_noticed(room: Scene) -> None:
    factors = 1 + 0.3 * torch.rand(9, 1, 1, generator=torch.Generator().manual_seed(0))
    bad = measure_quality(replace(room, depth=torch.where(room.mask, room.depth * factors, 0.0)))
    assert bad.agreement is not None
    assert bad.agreement < 0.9


def test_the_unit_does_not_matter(room: Scene) -> None:
    scaled = replace(room, depth=room.depth * 7, cameras=room.cameras.scaled(7.0))
    good, same = measure_quality(room), measure_quality(scaled)
    assert same.agreement == pytest.approx(good.agreement, abs=1e-3)
    assert same.color_error == pytest.approx(good.color_error, abs=1e-4)
    assert same.motion == pytest.approx(good.motion, abs=1e-4)


def test_what_cannot_be_compared_has_no_number(room: Scene) -> None:
    alone = measure_quality(room_scene(1, 24, 32))
    assert (alone.agreement, alone.color_error, alone.overlap, alone.motion) == (None, None, None, None)
    nothing = replace(room, mask=torch.zeros_like(room.mask), depth=torch.zeros_like(room.depth))
    assert measure_quality(nothing).agreement is None
    assert measure_quality(nothing).valid == 0.0
