"""Named paths and splines, tested over the registry."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cameras.strategies import matrix, poses
from gen3r.cameras import TRAJECTORIES, spline_through, trajectory
from gen3r.cameras.trajectories import OFFICIAL_ALIASES, ORBIT, TURN, look_at

DOUBLE = torch.float64


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_paths_start_at_identity_and_are_rigid(name: str) -> None:
    path = trajectory(name, 9, scale=2.5, dtype=DOUBLE)
    assert path.shape == (9, 4, 4)
    assert torch.equal(path[0], torch.eye(4, dtype=DOUBLE))
    rotation = path[:, :3, :3]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3, dtype=DOUBLE).expand(9, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(9, dtype=DOUBLE))
    assert trajectory(name, 1).shape == (1, 4, 4)


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_translations_grow_with_the_scene_and_rotations_do_not(name: str) -> None:
    small, large = trajectory(name, 5, scale=1.0, dtype=DOUBLE), trajectory(name, 5, scale=3.0, dtype=DOUBLE)
    torch.testing.assert_close(large[:, :3, 3], 3 * small[:, :3, 3])
    torch.testing.assert_close(large[:, :3, :3], small[:, :3, :3])


@pytest.mark.parametrize("name", sorted(set(TRAJECTORIES) - {"free"}))
def test_half_the_amount_is_half_the_path(name: str) -> None:
    whole, half = trajectory(name, 9, dtype=DOUBLE), trajectory(name, 5, amount=0.5, dtype=DOUBLE)
    torch.testing.assert_close(half, whole[:5])
    assert not torch.allclose(whole[-1], whole[0]) or name == "spiral"


# where the camera ends (x right, y down, z forward) and where it then looks, by sign
ENDS = {
    "orbit_right": ((1, 0, 1), (-1, 0, 1)),
    "dolly_in": ((0, 0, 1), (0, 0, 1)),
    "truck_right": ((1, 0, 0), (0, 0, 1)),
    "pedestal_up": ((0, -1, 0), (0, 0, 1)),
    "pan_right": ((0, 0, 0), (1, 0, 1)),
    "tilt_up": ((0, 0, 0), (0, -1, 1)),
}
OPPOSITE = {"right": "left", "in": "out", "up": "down"}


@pytest.mark.parametrize("name", ENDS)
def test_paths_go_where_their_names_say(name: str) -> None:
    end = trajectory(name, 4, dtype=DOUBLE)[-1]
    center, forward = ENDS[name]
    torch.testing.assert_close(end[:3, 3].sign(), matrix(center).sign())
    torch.testing.assert_close(end[:3, 2].sign(), matrix(forward).sign())
    base, direction = name.split("_")
    reverse = trajectory(f"{base}_{OPPOSITE[direction]}", 4, dtype=DOUBLE)
    torch.testing.assert_close(reverse, trajectory(name, 4, amount=-1.0, dtype=DOUBLE))


@pytest.mark.parametrize("name", ["orbit_left", "orbit_right", "spiral"])
def test_the_camera_keeps_looking_at_the_scene(name: str) -> None:
    path = trajectory(name, 7, scale=2.0, dtype=DOUBLE)
    target = torch.linalg.inv(path) @ matrix([0.0, 0.0, 2.0, 1.0])
    torch.testing.assert_close(target[:, :2], torch.zeros(7, 2, dtype=DOUBLE))
    assert bool((target[:, 2] > 0).all())
    if name.startswith("orbit"):
        torch.testing.assert_close(target[:, 2], torch.full((7,), 2.0, dtype=DOUBLE))
        cosine = path[-1, 2, 2]
        torch.testing.assert_close(torch.acos(cosine), matrix(ORBIT))


def test_official_names_only_turn_the_camera_except_for_zooms() -> None:
    for name in OFFICIAL_ALIASES:
        path = trajectory(name, 3, scale=2.0, dtype=DOUBLE)
        moved, turned = path[-1, :3, 3].norm(), torch.acos(((path[-1].diagonal()[:3].sum() - 1) / 2).clamp(-1, 1))
        expected = (2.0, 0.0) if name.startswith("zoom") else (0.0, TURN)
        torch.testing.assert_close((moved.item(), turned.item()), expected)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown trajectory 'loop'; known: arc_left, .*zoom_in, zoom_out\."):
        trajectory("loop", 5)
    with pytest.raises(ValueError, match="at least one frame, got 0"):
        trajectory("orbit", 0)


def test_look_at() -> None:
    center, target = matrix([1.0, -2.0, 0.5]), matrix([3.0, 0.0, 4.0])
    pose = look_at(center, target)
    seen = torch.linalg.inv(pose) @ torch.cat([target, matrix([1.0])])
    torch.testing.assert_close(seen[:2], torch.zeros(2, dtype=DOUBLE))
    assert seen[2] == pytest.approx(math.sqrt(4 + 4 + 12.25))
    assert pose[1, 1] > 0, "the image's y axis points down"


@given(poses(4), st.integers(1, 4))
def test_a_spline_meets_its_keys(keys: Tensor, steps: int) -> None:
    path = spline_through(keys, 3 * steps + 1)
    torch.testing.assert_close(path[::steps], keys, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(path[:, :3, :3] @ path[:, :3, :3].mT, torch.eye(3, dtype=DOUBLE).expand(len(path), 3, 3))


def test_a_spline_through_few_keys() -> None:
    start, end = trajectory("orbit", 2, dtype=DOUBLE)
    assert torch.equal(spline_through(start[None], 3), start.expand(3, 4, 4))
    middle = spline_through(torch.stack([start, end]), 3)[1]
    torch.testing.assert_close(middle[:3, 3], (start + end)[:3, 3] / 2)
    torch.testing.assert_close(torch.acos(middle[2, 2]), matrix(ORBIT / 2))


def test_times_place_the_keys() -> None:
    keys = trajectory("truck", 3, dtype=DOUBLE)
    path = spline_through(keys, 5, times=matrix([0.0, 3.0, 4.0]))
    torch.testing.assert_close(path[3], keys[1], atol=1e-9, rtol=1e-9)
    with pytest.raises(ValueError, match="must increase"):
        spline_through(keys, 5, times=matrix([0.0, 2.0, 2.0]))
    with pytest.raises(ValueError, match="at least one key pose"):
        spline_through(keys[:0], 5)
