"""`Cameras` as a value: indexing, resizing, cropping, rebasing, validation."""

import pytest
import torch

from gen3r.cameras import Cameras


def make_cameras(frames: int = 3) -> Cameras:
    return Cameras.from_fov(torch.eye(4).repeat(frames, 1, 1), 1.0, 40, 60)


def test_indexing_keeps_matrix_axes() -> None:
    cameras = make_cameras()
    assert cameras[0].shape == ()
    assert cameras[1:].shape == (2,)
    assert cameras[..., 0].extrinsics.shape == (4, 4)
    with pytest.raises(IndexError):
        cameras[0, 0]
