import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.eval.metrics.pose import (
    direction_angle_deg,
    median_deg,
    pair_errors,
    pose_auc,
    pose_scores,
    recall,
    recall_auc,
    rotation_angle_deg,
    rotation_auc,
)

SEEDS = st.integers(0, 2**31 - 1)


def axis_angle(axis: torch.Tensor, angle: float) -> torch.Tensor:
    x, y, z = (axis.double() / axis.double().norm()).tolist()
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    return torch.linalg.matrix_exp(angle * cross)


def path(seed: int, frames: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    extrinsics = torch.eye(4, dtype=torch.float64).repeat(frames, 1, 1)
    for pose in extrinsics:
        axis = torch.randn(3, generator=generator, dtype=torch.float64)
        pose[:3, :3] = axis_angle(axis, torch.rand((), generator=generator).item())
        pose[:3, 3] = torch.randn(3, generator=generator, dtype=torch.float64)
    return extrinsics


def rigid(rotation: torch.Tensor, translation: torch.Tensor) -> torch.Tensor:
    transform = torch.eye(4, dtype=torch.float64)
    transform[:3, :3], transform[:3, 3] = rotation, translation
    return transform


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 0.5, 5.0, 90.0, 179.0, 180.0])
def test_angle_of_a_rotation(degrees: float) -> None:
    rotation = axis_angle(torch.tensor([1.0, 2.0, -0.5]), math.radians(degrees))
    assert rotation_angle_deg(rotation).item() == pytest.approx(degrees, abs=1e-6)


def test_angle_between_directions() -> None:
    x, y = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    assert direction_angle_deg(x, y).item() == pytest.approx(90.0)
    assert direction_angle_deg(x, 3 * x).item() == pytest.approx(0.0)
    assert direction_angle_deg(x, -x).item() == pytest.approx(180.0)
    assert direction_angle_deg(x, torch.zeros(3)).item() == 180.0


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(0.01, 100.0))
def test_world_frame_and_scale_of_a_prediction_do_not_matter(seed: int, scale: float) -> None:
    truth = path(seed)
    world = rigid(axis_angle(torch.tensor([0.3, 1.0, 0.2]), 1.1), torch.tensor([5.0, -2.0, 1.0], dtype=torch.float64))
    predicted = truth @ world
    predicted[:, :3, 3] *= scale
    pairs = pair_errors(predicted, truth, min_baseline=0.0)
    assert pairs.rotation.max() < 1e-4
    assert pairs.translation.max() < 1e-4
    assert rotation_auc(pairs, 5.0) == pytest.approx(1.0, abs=1e-4)
    assert pose_auc(pairs, 30.0) == pytest.approx(1.0, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(0.1, 30.0))
def test_turning_one_camera_is_seen_by_its_pairs_alone(seed: int, degrees: float) -> None:
    truth = path(seed)
    predicted = truth.clone()
    turn = rigid(axis_angle(torch.tensor([0.0, 1.0, 0.3]), math.radians(degrees)), torch.zeros(3, dtype=torch.float64))
    predicted[2] = turn @ predicted[2]
    pairs = pair_errors(predicted, truth, min_baseline=0.0)
    first, second = torch.triu_indices(5, 5, offset=1)
    touched = (first == 2) | (second == 2)
    assert pairs.rotation[touched].tolist() == pytest.approx([degrees] * 4, abs=1e-5)
    assert pairs.rotation[~touched].max() < 1e-5


def test_pairs_that_do_not_move_are_judged_by_rotation_alone() -> None:
    truth = torch.eye(4).repeat(3, 1, 1)
    truth[2, 0, 3] = 1.0
    predicted = truth.clone()
    predicted[1, 1, 3] = 0.3
    pairs = pair_errors(predicted, truth, min_baseline=0.01)
    assert pairs.moves.tolist() == [False, True, True]
    assert pairs.translation[0].item() == 180.0
    assert pose_auc(pairs, 30.0) == pytest.approx((1 + 1 + (1 - math.degrees(math.atan(0.3)) / 30)) / 3, abs=1e-5)


def test_standing_still_and_moving_backwards_are_wrong_directions() -> None:
    truth = torch.eye(4).repeat(2, 1, 1)
    truth[1, 2, 3] = 1.0
    still = torch.eye(4).repeat(2, 1, 1)
    backwards = truth.clone()
    backwards[1, 2, 3] = -1.0
    for wrong in (still, backwards):
        pairs = pair_errors(wrong, truth, min_baseline=0.01)
        assert pairs.translation.item() == pytest.approx(180.0)
        assert pose_auc(pairs, 30.0) == 0.0
        assert rotation_auc(pairs, 5.0) == 1.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 180), min_size=1, max_size=12), st.floats(1, 90))
def test_area_is_the_integral_of_the_recall_curve(errors: list[float], threshold: float) -> None:
    values = torch.tensor(errors, dtype=torch.float64)
    levels = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000 * threshold
    integral = sum(recall(values, level) for level in levels.tolist()[::20]) / 200
    assert recall_auc(values, threshold) == pytest.approx(integral, abs=0.01)


def test_median() -> None:
    assert median_deg(torch.tensor([1.0, 2.0, 30.0])) == 2.0


def test_broken_predictions_are_refused() -> None:
    truth = path(0)
    broken = truth.clone()
    broken[3, 0, 3] = float("inf")
    with pytest.raises(ValueError, match="not finite"):
        pair_errors(broken, truth, min_baseline=0.0)


def test_scores_of_a_perfect_path() -> None:
    scores = pose_scores(path(0), path(0), 0.0)
    assert set(scores) == {f"{name}{threshold}" for name in ("rra", "rta", "auc") for threshold in (5, 15, 30)}
    assert min(scores.values()) == pytest.approx(1.0, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(SEEDS, SEEDS)
def test_scores_grow_with_the_threshold_and_area_never_exceeds_recall(one: int, other: int) -> None:
    scores = pose_scores(path(one), path(other), 0.0)
    for name in ("rra", "rta", "auc"):
        assert 0 <= scores[f"{name}5"] <= scores[f"{name}15"] <= scores[f"{name}30"] <= 1
    for threshold in (5, 15, 30):
        assert scores[f"auc{threshold}"] <= min(scores[f"rra{threshold}"], scores[f"rta{threshold}"]) + 1e-9


def test_folding_forgives_the_opposite_direction_but_not_standing_still() -> None:
    truth = torch.eye(4).repeat(2, 1, 1)
    truth[1, 2, 3] = 1.0
    backwards, still = truth.clone(), torch.eye(4).repeat(2, 1, 1)
    backwards[1, 2, 3] = -1.0
    backwards[1, 0, 3] = 0.1
    assert pose_scores(backwards, truth, 0.01)["rta30"] == 0.0
    folded = pose_scores(backwards, truth, 0.01, fold=True)
    assert folded["rta30"] == 1.0
    assert folded["auc30"] == pytest.approx(1 - math.degrees(math.atan(0.1)) / 30)
    assert pose_scores(still, truth, 0.01, fold=True)["rta30"] == 0.0


def test_where_nothing_moves_direction_is_not_asked() -> None:
    still = torch.eye(4).repeat(3, 1, 1)
    trembling = still.clone()
    trembling[1, 0, 3] = 0.001
    scores = pose_scores(trembling, still, 0.01)
    assert scores["rta5"] == 1.0
    assert scores["auc5"] == 1.0
