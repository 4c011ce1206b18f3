"""Cameras as the transformer reads them: packed Plücker rays, relative to the first view.

Scale: a photo does not tell metres from millimetres, so translations are divided by the scene scale, the mean depth
that the first view sees. Training knows it from the data; at sampling it comes from an estimate of the first view's
depth, or is switched off (``scale=None``) to feed the numbers as they are, which is what the official model expects.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras import Cameras, mean_depth
from gen3r.cameras.rays import plucker_rays
from gen3r.conditioning.temporal import fold_frames
from gen3r.latents.grid import LatentGrid
from gen3r.latents.joint import both


def scene_scale(first_depth: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """The unit of a clip: mean z-depth of the first view over pixels that see a surface; 1 where none does.

    Depths, point maps and camera translations of one clip are all to be divided by this number.
    """
    return mean_depth(first_depth)


def relative_cameras(cameras: Cameras, scale: Float[Tensor, " B"] | None = None) -> Cameras:
    """Cameras ``[B, F]`` with the first one at the origin and, if ``scale`` is given, translations divided by it."""
    rebased = cameras.rebased()
    return rebased if scale is None else rebased.scaled(1.0 / scale[:, None])


def camera_rays_packed(
    cameras: Cameras, size: tuple[int, int], known: Bool[Tensor, "B F"] | None = None
) -> Float[Tensor, "B 24 f rows columns"]:
    """Plücker rays (moment, direction) of cameras ``[B, F]`` at ``size``, folded in time, doubled in width.

    Args:
        cameras: relative cameras (see :func:`relative_cameras`).
        size: rows and columns of rays; the image size, or the latent size for models that pool the rays first.
        known: frames whose camera is known; the others get zeros.
    """
    rays = plucker_rays(cameras.resize(*size) if size != (cameras.height, cameras.width) else cameras)
    if known is not None:
        rays = rays * known[:, :, None, None, None]
    return both(fold_frames(rays))


def free_cameras(grid: LatentGrid, size: tuple[int, int], like: Tensor) -> Float[Tensor, "B 24 f rows columns"]:
    """The packed rays of nobody knows where: zeros, for as many samples as ``like`` has, on its device."""
    return like.new_zeros(like.shape[0], 24, grid.latent_frames, size[0], 2 * size[1])
