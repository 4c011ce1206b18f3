"""VGGT's nine numbers."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cameras.strategies import cameras, matrix, rotations
from gen3r.cameras import Cameras, decode_pose, encode_pose
from gen3r.cameras.pose_encoding import quaternion_from_rotation, rotation_from_quaternion


@given(cameras())
def test_round_trip_from_cameras(of: Cameras) -> None:
    encoding = encode_pose(of.extrinsics, of.intrinsics, (of.height, of.width))
    decoded = decode_pose(encoding, of.height, of.width)
    torch.testing.assert_close(decoded.extrinsics, of.extrinsics, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(decoded.fov, of.fov)
    torch.testing.assert_close(decoded.fov, encoding[..., 7:])
    again = encode_pose(decoded.extrinsics[..., :3, :], decoded.intrinsics, (of.height, of.width))
    # half turns have two quaternions; everything else is the same, and so is the rotation
    torch.testing.assert_close(again[..., [0, 1, 2, 7, 8]], encoding[..., [0, 1, 2, 7, 8]])


@given(rotations(), st.floats(0.01, 100.0), st.sampled_from([-1.0, 1.0]))
def test_quaternions_of_any_length_and_sign(rotation: Tensor, length: float, sign: float) -> None:
    quaternion = quaternion_from_rotation(rotation)
    assert quaternion[3] >= 0
    torch.testing.assert_close(quaternion.norm(), matrix(1.0))
    torch.testing.assert_close(rotation_from_quaternion(quaternion * length * sign), rotation, atol=1e-9, rtol=1e-9)


def test_scalar_is_last_and_vertical_field_of_view_first() -> None:
    camera = Cameras.from_fov(torch.eye(4)[None], 0.5, 30, 40, fov_x=0.9)
    encoding = encode_pose(camera.extrinsics, camera.intrinsics, (30, 40))
    torch.testing.assert_close(encoding, torch.tensor([[0, 0, 0, 0, 0, 0, 1, 0.5, 0.9]]))
