"""Rigid transforms and the other common convention."""

import pytest
import torch
from hypothesis import given
from torch import Tensor

from cameras.strategies import matrix, poses
from gen3r.cameras import extrinsics_from_opengl, invert_se3, opengl_from_extrinsics
from gen3r.cameras.convention import exact_matmul, homogeneous, relative_to_first

IDENTITY = torch.eye(4, dtype=torch.float64)


@given(poses(3))
def test_inverse(transforms: Tensor) -> None:
    torch.testing.assert_close(transforms @ invert_se3(transforms), IDENTITY.expand(3, 4, 4))
    torch.testing.assert_close(invert_se3(transforms[:, :3]), torch.linalg.inv(transforms))


@given(poses(2))
def test_inverse_of_a_composition(transforms: Tensor) -> None:
    first, second = transforms
    torch.testing.assert_close(invert_se3(second @ first), invert_se3(first) @ invert_se3(second))


@given(poses(2))
def test_exact_matmul_is_the_matrix_product(transforms: Tensor) -> None:
    torch.testing.assert_close(exact_matmul(transforms, transforms[:1]), transforms @ transforms[:1])


def test_exact_matmul_keeps_float32_under_autocast() -> None:
    a = torch.tensor([[1.0, 2.0**-12]])
    with torch.autocast("cpu", torch.bfloat16):
        product = exact_matmul(a, a.mT)
    assert product.dtype == torch.float32
    assert product.item() == 1 + 2.0**-24 or product.item() == 1.0  # the sum rounds, the factors do not


@given(poses(2))
def test_opengl_round_trip(extrinsics: Tensor) -> None:
    torch.testing.assert_close(extrinsics_from_opengl(opengl_from_extrinsics(extrinsics)), extrinsics)
    torch.testing.assert_close(extrinsics_from_opengl(opengl_from_extrinsics(extrinsics)[:, :3]), extrinsics)


def test_an_opengl_camera_looks_along_its_negative_z() -> None:
    extrinsics = extrinsics_from_opengl(IDENTITY)
    ahead_above = matrix([0.0, 1.0, -5.0, 1.0])
    torch.testing.assert_close(extrinsics @ ahead_above, matrix([0.0, -1.0, 5.0, 1.0]))


@given(poses(3))
def test_relative_poses_start_at_identity_and_keep_their_differences(transforms: Tensor) -> None:
    relative = relative_to_first(transforms)
    assert torch.equal(relative[0], IDENTITY)
    torch.testing.assert_close(
        invert_se3(relative[1]) @ relative[2], invert_se3(transforms[1]) @ transforms[2], atol=1e-9, rtol=1e-9
    )


def test_matrices_of_another_height_are_refused() -> None:
    with pytest.raises(ValueError, match=r"3x4 or 4x4 .* got shape \(2, 4\)"):
        homogeneous(torch.zeros(2, 4))
