"""Jumps are found whatever the unit and speed, and smooth paths have none."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.cameras import Cameras
from gen3r.data.checking.motion import Motion, jumps
from gen3r.data.checking.thresholds import CheckThresholds

FRAMES = 40


def path(centers: np.ndarray, yaw: np.ndarray) -> Cameras:
    poses = torch.eye(4, dtype=torch.float64).repeat(len(centers), 1, 1)
    cos, sin = torch.from_numpy(np.cos(yaw)), torch.from_numpy(np.sin(yaw))
    poses[:, 0, 0], poses[:, 0, 2], poses[:, 2, 0], poses[:, 2, 2] = cos, sin, -sin, cos
    poses[:, :3, 3] = torch.from_numpy(centers)
    return Cameras.from_world_from_camera(poses, torch.eye(3, dtype=torch.float64), 10, 10)


def along(distances: np.ndarray) -> np.ndarray:
    return np.stack([distances, np.zeros_like(distances), 0.3 * distances], axis=1)


def found(centers: np.ndarray, yaw: np.ndarray) -> list[str]:
    return jumps(Motion.of(path(centers, yaw)), CheckThresholds())


@given(st.floats(1e-3, 1e3), st.integers(0, 2**16))
def test_smooth_paths_have_no_jumps(unit: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    speed = np.abs(np.cumsum(generator.normal(0, 0.05, FRAMES)) + 1)
    shake = generator.normal(0, 0.1, (FRAMES, 3))
    yaw = np.cumsum(generator.normal(0.02, 0.01, FRAMES))
    assert found(unit * (along(np.cumsum(speed)) + shake), yaw) == []


@given(st.floats(1e-3, 1e3), st.integers(1, FRAMES - 1))
def test_a_jump_is_found_where_it_is(unit: float, where: int) -> None:
    distances = np.arange(FRAMES) * 0.1
    distances[where:] += 5
    told = found(unit * along(distances), np.zeros(FRAMES))
    assert [text.startswith(f"between frames {where - 1} and {where} ") for text in told] == [True]


@given(st.integers(1, FRAMES - 1), st.sampled_from([-40.0, 25.0, 170.0]))
def test_a_sudden_turn_is_found(where: int, degrees: float) -> None:
    yaw = np.arange(FRAMES) * 0.01
    yaw[where:] += np.radians(degrees)
    assert len(found(along(np.arange(FRAMES) * 0.1), yaw)) == 1


def test_standing_starting_and_stopping_is_no_jump() -> None:
    speed = np.concatenate([np.zeros(15), np.linspace(0, 1, 10), np.linspace(1, 0, 5), np.zeros(10)])
    assert found(along(np.cumsum(speed)), np.zeros(FRAMES)) == []


def test_a_still_camera_is_still() -> None:
    motion = Motion.of(path(np.ones((FRAMES, 3)), np.full(FRAMES, 0.3)))
    assert motion.is_still
    assert not Motion.of(path(along(np.arange(FRAMES) * 0.1), np.zeros(FRAMES))).is_still
    assert not Motion.of(path(np.ones((FRAMES, 3)), np.arange(FRAMES) * 0.1)).is_still


def test_turns_are_in_degrees() -> None:
    motion = Motion.of(path(np.zeros((3, 3)), np.radians([0, 30, 150])))
    np.testing.assert_allclose(motion.turns, [30, 120], atol=1e-6)
