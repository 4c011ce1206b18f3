"""ATE and RPE of paths whose errors are known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.eval.metrics.trajectory import trajectory_errors

SQUARE = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], dtype=torch.float64)


def looking_ahead(centres: torch.Tensor) -> torch.Tensor:
    """World-to-camera extrinsics of cameras that do not turn."""
    extrinsics = torch.eye(4, dtype=torch.float64).repeat(len(centres), 1, 1)
    extrinsics[:, :3, 3] = -centres
    return extrinsics


def yaw(degrees: float) -> torch.Tensor:
    turn = torch.eye(4, dtype=torch.float64)
    turn[0, 0] = turn[2, 2] = math.cos(math.radians(degrees))
    turn[0, 2] = math.sin(math.radians(degrees))
    turn[2, 0] = -turn[0, 2]
    return turn


def winding(frames: int = 6) -> torch.Tensor:
    t = torch.linspace(0, 1, frames, dtype=torch.float64)
    path = looking_ahead(torch.stack([t, t**2, 0.3 * t.sin()], dim=-1))
    return torch.stack([yaw(20 * step) @ pose for step, pose in zip(t.tolist(), path, strict=True)])


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 10), st.floats(-180, 180))
def test_a_similarity_costs_nothing(scale: float, degrees: float) -> None:
    truth = winding()
    world = yaw(degrees)
    world[:3, 3] = torch.tensor([2.0, -1.0, 4.0])
    predicted = truth @ world
    predicted[:, :3, 3] *= scale
    errors = trajectory_errors(predicted.float(), truth)
    assert max(errors.ate, errors.rpe_translation) < 1e-5
    assert errors.rpe_rotation_deg < 1e-3


def test_a_saddle_on_a_square_cannot_be_aligned_away() -> None:
    height = 0.5
    saddle = SQUARE.clone()
    saddle[:, 2] = torch.tensor([height, -height, height, -height])
    rigid = trajectory_errors(looking_ahead(saddle), looking_ahead(SQUARE), scaled=False)
    assert rigid.ate == pytest.approx(height)
    assert rigid.rpe_translation == pytest.approx(2 * height)
    scaled = trajectory_errors(looking_ahead(saddle), looking_ahead(SQUARE))
    assert scaled.ate == pytest.approx(height / math.sqrt(1 + height**2))


def test_too_long_steps_on_a_straight_line() -> None:
    index = torch.arange(5, dtype=torch.float64)
    line = index[:, None] * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    metric = trajectory_errors(looking_ahead(1.1 * line), looking_ahead(line), scaled=False)
    assert metric.rpe_translation == pytest.approx(0.1)
    assert metric.ate == pytest.approx(0.1 * index.std(correction=0).item())
    assert trajectory_errors(looking_ahead(1.1 * line), looking_ahead(line)).ate == pytest.approx(0.0, abs=1e-9)


def test_turning_too_far_is_the_error_of_every_step() -> None:
    truth = looking_ahead(SQUARE)
    predicted = torch.stack([yaw(3.0 * index) @ pose for index, pose in enumerate(truth)])
    errors = trajectory_errors(predicted, truth)
    assert errors.rpe_rotation_deg == pytest.approx(3.0)
    assert errors.ate == pytest.approx(0.0, abs=1e-9)


def test_standing_still() -> None:
    truth, still = looking_ahead(SQUARE), looking_ahead(torch.zeros(4, 3))
    assert trajectory_errors(still, truth).ate == pytest.approx(1.0)
    assert trajectory_errors(truth, still).ate == pytest.approx(1.0)
    assert trajectory_errors(still, still).ate == 0.0


def test_broken_predictions_are_failures() -> None:
    truth = winding()
    for broken, message in (
        (truth * torch.nan, "not finite"),
        (truth * 2, "no rotation"),
    ):
        with pytest.raises(ValueError, match=message):
            trajectory_errors(broken, truth)
    with pytest.raises(ValueError, match="at least two frames, got 1"):
        trajectory_errors(truth[:1], truth[:1])
