"""Whether cameras that were read are those that were written."""

import torch


def assert_same(found, expected):
    assert (found.height, found.width) == (expected.height, expected.width)
    torch.testing.assert_close(found.intrinsics.double(), expected.intrinsics.double(), atol=1e-6, rtol=0)
    poses = found.to(dtype=torch.float64).world_from_camera
    torch.testing.assert_close(poses, expected.to(dtype=torch.float64).world_from_camera, atol=1e-6, rtol=0)
