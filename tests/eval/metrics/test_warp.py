"""Where pixels land."""

import math

import torch

from gen3r.cameras.cameras import Cameras
from gen3r.eval.metrics.warp import land


def test_one_pixel_of_disparity_moves_the_picture_by_one_pixel() -> None:
    extrinsics = torch.eye(4).repeat(2, 1, 1)
    extrinsics[1, 0, 3] = -0.1
    cameras = Cameras.from_fov(extrinsics, math.radians(90), 20, 40)
    landing = land(torch.ones(20, 40), cameras[0], cameras[1])
    assert landing.inside.sum(dim=1).unique().tolist() == [39]
    picture = torch.rand(1, 20, 40, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(landing.sample(picture)[:, :, 1:], picture[:, :, :-1], atol=1e-4, rtol=0)


def test_what_is_behind_the_other_camera_is_not_inside() -> None:
    extrinsics = torch.eye(4).repeat(2, 1, 1)
    extrinsics[1, 2, 3] = -2.0
    cameras = Cameras.from_fov(extrinsics, math.radians(60), 8, 8)
    landing = land(torch.ones(8, 8), cameras[0], cameras[1])
    assert not landing.inside.any()
    torch.testing.assert_close(landing.z, torch.full((8, 8), -1.0))
