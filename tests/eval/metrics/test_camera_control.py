"""Control errors of paths whose errors are known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.eval.metrics.camera_control import WORST_TRANSLATION, control_errors


def line(*steps: float, axis: int = 0) -> torch.Tensor:
    extrinsics = torch.eye(4, dtype=torch.float64).repeat(len(steps), 1, 1)
    extrinsics[:, axis, 3] = -torch.tensor(steps, dtype=torch.float64)
    return extrinsics


def yaw(degrees: float) -> torch.Tensor:
    turn = torch.eye(4, dtype=torch.float64)
    turn[0, 0] = turn[2, 2] = math.cos(math.radians(degrees))
    turn[0, 2] = math.sin(math.radians(degrees))
    turn[2, 0] = -turn[0, 2]
    return turn


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 10), st.floats(-180, 180))
def test_world_and_scale_do_not_matter(scale: float, degrees: float) -> None:
    requested = torch.stack([yaw(8.0 * i) @ pose for i, pose in enumerate(line(0.0, 0.5, 1.0, 1.2))])
    world = yaw(degrees)
    world[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    generated = requested @ world
    generated[:, :3, 3] *= scale
    errors = control_errors(generated, requested)
    assert max(errors.rot_err, errors.trans_err, errors.cam_mc) < 1e-6
    assert errors.auc30 == pytest.approx(1.0, abs=1e-6)


def test_a_turn_that_was_not_asked_for() -> None:
    requested = line(0.0, 1.0, 2.0, 3.0)
    generated = torch.stack([yaw(2.0 * i) @ pose for i, pose in enumerate(requested)])
    errors = control_errors(generated, requested)
    assert errors.rot_err == pytest.approx(math.radians(2 + 4 + 6))
    assert errors.rotation_deg == pytest.approx(4.0)
    assert errors.trans_err == pytest.approx(0.0, abs=1e-9)
    assert errors.cam_mc == pytest.approx(sum(2 * math.sqrt(2) * math.sin(math.radians(i)) for i in (1, 2, 3)))


def test_speed_is_seen_and_length_is_not() -> None:
    errors = control_errors(line(0.0, 2.0, 4.0), line(0.0, 0.9, 1.0))
    assert errors.trans_err == pytest.approx(0.4)
    assert errors.translation == pytest.approx(0.2)
    assert errors.auc30 == pytest.approx(1.0)


def test_the_opposite_way_is_the_worst() -> None:
    errors = control_errors(line(0.0, -1.0), line(0.0, 1.0))
    assert errors.translation == pytest.approx(WORST_TRANSLATION)
    assert errors.auc30 == 0.0


def test_a_camera_asked_to_stand_still_may_tremble() -> None:
    still = line(0.0, 0.0, 0.0)
    trembling = control_errors(line(0.0, 0.001, 0.0), still, min_baseline=0.01)
    assert trembling.translation == pytest.approx(0.05)
    assert control_errors(line(0.0, 0.5, 1.0), still).translation == pytest.approx(0.75)


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two frames, got 1"):
        control_errors(line(0.0), line(0.0))
    with pytest.raises(ValueError, match="not finite"):
        control_errors(line(0.0, math.nan), line(0.0, 1.0))
