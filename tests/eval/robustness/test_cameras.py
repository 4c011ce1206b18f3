"""Wrong cameras: laws for any cameras, strengths and seeds."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.strategies import cameras, seeds
from gen3r.cameras import Cameras
from gen3r.eval.metrics.pose import rotation_angle_deg
from gen3r.eval.robustness.perturbations.base import CameraPerturbation
from gen3r.eval.robustness.perturbations.extrinsics import ROTATION, TRANSLATION, rotation_matrix
from gen3r.eval.robustness.perturbations.intrinsics import FOCAL, PRINCIPAL_POINT
from gen3r.eval.robustness.perturbations.registry import (
    CAMERA_PERTURBATIONS,
    PERTURBATIONS,
    chosen_perturbations,
)
from gen3r.eval.robustness.perturbations.scale import SCALE

paths = cameras(count=4)
kinds = st.sampled_from(list(CAMERA_PERTURBATIONS.values()))
shares = st.floats(0.01, 0.99)


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def close(a: Cameras, b: Cameras) -> None:
    torch.testing.assert_close(a.extrinsics, b.extrinsics, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(a.intrinsics, b.intrinsics, atol=1e-9, rtol=1e-9)


@settings(max_examples=12)
@given(paths, kinds, seeds)
def test_the_identity_strength_is_the_identity(path: Cameras, kind: CameraPerturbation, seed: int) -> None:
    assert kind(path, kind.identity, rng(seed)) is path


@settings(max_examples=12)
@given(paths, kinds, shares, seeds)
def test_wrong_cameras_are_cameras_seeded_and_leave_the_first_pose(
    path: Cameras, kind: CameraPerturbation, share: float, seed: int
) -> None:
    strength = kind.between(share, kind.strengths[-1])
    before = path.extrinsics.clone(), path.intrinsics.clone()
    wrong = kind(path, strength, rng(seed)).validate()
    close(wrong, kind(path, strength, rng(seed)))
    assert torch.equal(wrong.extrinsics[0, :3, :3], path.extrinsics[0, :3, :3])
    assert torch.equal(path.extrinsics, before[0])
    assert torch.equal(path.intrinsics, before[1])


@settings(max_examples=12)
@given(paths, st.sampled_from([ROTATION, TRANSLATION]), st.floats(0.2, 4.0), seeds)
def test_scale_commutes_with_noise(path: Cameras, noise: CameraPerturbation, factor: float, seed: int) -> None:
    path = path.rebased()
    scaled_last = SCALE(noise(path, 5.0, rng(seed)), factor, rng(0))
    close(noise(SCALE(path, factor, rng(0)), 5.0, rng(seed)), scaled_last)


@settings(max_examples=12)
@given(paths, st.floats(0.2, 4.0), st.floats(0.2, 4.0))
def test_scales_multiply(path: Cameras, one: float, other: float) -> None:
    close(SCALE(SCALE(path, one, rng(0)), other, rng(0)), SCALE(path, one * other, rng(0)))


@settings(max_examples=12)
@given(paths, st.sampled_from([0.5, 3.0, 10.0]), seeds)
def test_rotations_keep_centres_and_translations_keep_orientations(path: Cameras, strength: float, seed: int) -> None:
    torch.testing.assert_close(ROTATION(path, strength, rng(seed)).centers, path.centers, atol=1e-9, rtol=1e-9)
    moved = TRANSLATION(path, strength, rng(seed))
    assert torch.equal(moved.extrinsics[:, :3, :3], path.extrinsics[:, :3, :3])


@settings(max_examples=12)
@given(paths, seeds)
def test_a_disturbance_grows_with_its_strength(path: Cameras, seed: int) -> None:
    """The same random numbers at every strength: twice the strength is twice as far, in the same direction."""
    near, far = (TRANSLATION(path, strength, rng(seed)).centers - path.centers for strength in (4.0, 8.0))
    torch.testing.assert_close(2 * near, far, atol=1e-9, rtol=1e-9)
    turns = [
        rotation_angle_deg(ROTATION(path, strength, rng(seed)).extrinsics[:, :3, :3] @ path.extrinsics[:, :3, :3].mT)
        for strength in (1.0, 2.0)
    ]
    torch.testing.assert_close(2 * turns[0], turns[1], atol=1e-6, rtol=1e-6)


def test_noise_has_the_root_mean_square_it_says() -> None:
    extrinsics = torch.eye(4, dtype=torch.float64).repeat(4001, 1, 1)
    extrinsics[:, 0, 3] = torch.linspace(0, 2, 4001, dtype=torch.float64)
    path = Cameras.from_fov(extrinsics, 1.0, 40, 60)
    turned, moved = ROTATION(path, 3.0, rng(0)), TRANSLATION(path, 20.0, rng(0))
    assert rotation_angle_deg(turned.extrinsics[1:, :3, :3]).square().mean().sqrt() == pytest.approx(3.0, rel=0.05)
    away = (moved.centers - path.centers).norm(dim=-1)
    assert away[0] == 0
    assert away[1:].square().mean().sqrt() == pytest.approx(0.2 * 2, rel=0.05)


@settings(max_examples=12)
@given(paths, st.floats(1.0, 30.0), seeds)
def test_intrinsics_err_by_what_they_say(path: Cameras, percent: float, seed: int) -> None:
    ratio = FOCAL(path, percent, rng(seed)).intrinsics / path.intrinsics
    focal = ratio[:, [0, 1], [0, 1]]
    assert torch.allclose(focal.log().abs(), torch.tensor(math.log(1 + percent / 100), dtype=torch.float64))
    assert torch.equal(focal.sign(), torch.ones_like(focal))
    shift = (PRINCIPAL_POINT(path, percent, rng(seed)).intrinsics - path.intrinsics)[:, :2, 2]
    expected = percent / 100 * max(path.height, path.width)
    torch.testing.assert_close(shift.norm(dim=-1), torch.full((4,), expected, dtype=torch.float64))
    assert torch.allclose(shift, shift[:1])


@settings(max_examples=12)
@given(seeds)
def test_rotation_matrices_turn_by_the_length_of_their_vector(seed: int) -> None:
    vector = torch.randn(3, generator=rng(seed), dtype=torch.float64)
    vector = vector * (2.0 / vector.norm())
    matrix = rotation_matrix(vector)
    torch.testing.assert_close(matrix @ vector, vector)
    assert rotation_angle_deg(matrix) == pytest.approx(math.degrees(2.0))


def test_perturbations_are_chosen_by_name_in_the_order_of_the_tables() -> None:
    assert list(chosen_perturbations(["jpeg", "focal"])) == ["focal", "jpeg"]
    assert chosen_perturbations([]) == PERTURBATIONS
    with pytest.raises(ValueError, match="unknown perturbation 'fog'; choose among focal"):
        chosen_perturbations(["fog"])


@settings(max_examples=12)
@given(shares)
def test_training_draws_from_nothing_to_the_largest(share: float) -> None:
    assert ROTATION.between(share, 10.0) == pytest.approx(10 * share)
    assert SCALE.between(share, 3.0) * SCALE.between(1 - share, 3.0) == pytest.approx(1.0)
    assert 1 / 3 <= SCALE.between(share, 3.0) <= 3
