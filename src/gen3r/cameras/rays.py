"""Rays through pixels, and their Plücker coordinates."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import PIXEL_CENTRES, exact_matmul


def pixel_directions(cameras: Cameras, pixel_offset: float = PIXEL_CENTRES) -> Float[Tensor, "*b H W 3"]:
    """Directions through all pixels in camera axes, with z = 1: times z-depth they are camera points.

    Args:
        cameras: any batch; skew is ignored.
        pixel_offset: where in a pixel the ray passes: 0.5 the centre, 0 for conventions with integer centres.
    """
    intrinsics = cameras.intrinsics
    options = {"dtype": intrinsics.dtype, "device": intrinsics.device}
    u = torch.arange(cameras.width, **options) + pixel_offset
    v = torch.arange(cameras.height, **options) + pixel_offset
    x = (u - intrinsics[..., 0, 2, None]) / intrinsics[..., 0, 0, None]
    y = (v - intrinsics[..., 1, 2, None]) / intrinsics[..., 1, 1, None]
    shape = (*cameras.shape, cameras.height, cameras.width)
    x, y = x[..., None, :].expand(shape), y[..., :, None].expand(shape)
    return torch.stack([x, y, torch.ones_like(x)], dim=-1)


def camera_rays(cameras: Cameras) -> tuple[Float[Tensor, "*b H W 3"], Float[Tensor, "*b H W 3"]]:
    """World rays through all pixel centres: (origins, unit directions). Origins are the camera centre, expanded."""
    directions = exact_matmul(pixel_directions(cameras), cameras.extrinsics[..., None, :3, :3])  # row vectors: R^T d
    directions = directions / directions.norm(dim=-1, keepdim=True)
    return cameras.centers[..., None, None, :].expand_as(directions), directions


def plucker_rays(cameras: Cameras) -> Float[Tensor, "*b 6 H W"]:
    """Plücker coordinates of the rays through pixel centres: channels (moment = origin x direction, unit direction)."""
    origins, directions = camera_rays(cameras)
    moments = torch.linalg.cross(origins, directions, dim=-1)
    return torch.cat([moments, directions], dim=-1).movedim(-1, -3)
