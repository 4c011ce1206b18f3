"""Cameras as they would be if somebody had mistaken the convention: the commonest fault of a dataset."""

from __future__ import annotations

import torch

from gen3r.cameras import Cameras


def alternatives(cameras: Cameras) -> dict[str, Cameras]:
    """Cameras ``[F]`` in other conventions, by what would have to be done to the poses."""
    extrinsics = cameras.extrinsics.double()
    inverse, flip = torch.linalg.inv(extrinsics), torch.diag(extrinsics.new_tensor([1, -1, -1, 1]))
    poses = {
        "inverted": inverse,
        "turned from OpenGL to OpenCV camera axes": flip @ extrinsics,
        "inverted and turned from OpenGL to OpenCV camera axes": flip @ inverse,
    }
    return {name: Cameras(pose, cameras.intrinsics, cameras.height, cameras.width) for name, pose in poses.items()}
