"""Point maps as pictures (the idea of WVD, Zhang et al. 2024, arXiv 2412.01821).

Every pixel is painted with the point it sees, in the axes of the first camera and in mean depths of the first view.
Space is contracted to a ball of radius 2 first (Mip-NeRF 360, Barron et al. 2022, eq. 10)::

    c = p for |p| <= 1,   (2 - 1/|p|) p / |p| beyond;   picture = (c / 2 + 1) / 2

Sky is painted as the point at infinity in its direction: |c| = 2. So every pixel, sky included, tells about cameras.
A contracted point is read as homogeneous coordinates (c, rho) of p = c / rho, with rho = 1 inside the unit ball and
|c| (2 - |c|) beyond: nothing is divided by zero on the way to a camera.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.cameras.cameras import pinhole
from gen3r.cameras.convention import exact_matmul
from gen3r.cameras.projection import unproject
from gen3r.cameras.rays import camera_rays
from gen3r.latents.codecs.base import ClipGeometry, CodecName
from gen3r.latents.codecs.pictures import FAR, PictureCodec
from gen3r.latents.codecs.pose_fit import fit_poses

RADIUS = 2.0
"""Of the ball that all space is contracted to."""


class XYZCodec(PictureCodec):
    """Point maps in the first camera's axes, through the video VAE.

    Read back: the lens by least squares from the first point map, whose camera is the world; the pose of every frame by
    fitting the projections of its points to their pixels (perspective-n-point); depth is z in that camera.
    """

    name: CodecName = "xyz"

    def paint(self, truth: ClipGeometry) -> Float[Tensor, "B F 3 H W"]:
        """See ``PictureCodec``."""
        sky = (truth.depth <= 0)[..., None]
        _, directions = camera_rays(truth.cameras)
        contracted = torch.where(sky, RADIUS * directions, contract(unproject(truth.depth, truth.cameras)))
        return (contracted.movedim(-1, 2) / RADIUS + 1) / 2

    def read(
        self, pictures: Float[Tensor, "B F 3 H W"]
    ) -> tuple[Cameras, Float[Tensor, "B F H W"], Float[Tensor, "B F H W 3"]]:
        """See ``PictureCodec``."""
        contracted = (pictures.movedim(2, -1) * 2 - 1) * RADIUS
        length = contracted.norm(dim=-1)
        rho = torch.where(length <= 1, torch.ones_like(length), length * (2 - length)).clamp_min(0)
        height, width = pictures.shape[-2:]
        intrinsics = lens_of(contracted[:, 0])[:, None].expand(*pictures.shape[:2], 3, 3)
        extrinsics = fit_poses(contracted, rho, intrinsics[:, 0])
        cameras = Cameras(extrinsics, intrinsics, height, width)
        seen = exact_matmul(contracted, extrinsics[..., None, :3, :3].mT) + (
            rho[..., None] * extrinsics[..., None, None, :3, 3]
        )
        surface = (rho > _rho(FAR)) & (seen[..., 2] > 0)
        depth = torch.where(surface, seen[..., 2] / rho.clamp_min(1e-6), 0)
        points = torch.where(surface[..., None], contracted / rho.clamp_min(1e-6)[..., None], 0)
        return cameras, depth, points


def contract(points: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """Space to the ball of radius 2; the unit ball stays as it is."""
    length = points.norm(dim=-1, keepdim=True)
    return torch.where(length <= 1, points, (2 - 1 / length.clamp_min(1)) * points / length.clamp_min(1))


def lens_of(contracted: Float[Tensor, "B H W 3"]) -> Float[Tensor, "B 3 3"]:
    """Intrinsics, centred, of maps of contracted points in their own camera's axes.

    Along each axis x = z (u - c) / f, so 1 / f is the slope of x over z (u - c) through the origin. Slopes that are no
    lens (a lost map) become fields of view of 2.2 radians at most.
    """
    height, width = contracted.shape[1:3]
    z = contracted[..., 2]
    focal = []
    for axis, size in ((0, width), (1, height)):
        centred = torch.arange(size, dtype=z.dtype, device=z.device) + 0.5 - size / 2
        regressor = z * (centred if axis == 0 else centred[:, None])
        slope = (contracted[..., axis] * regressor).sum((-1, -2)) / regressor.square().sum((-1, -2)).clamp_min(1e-9)
        focal.append(1 / slope.clamp(0.02 / size, 4.0 / size))
    return pinhole(focal[0], focal[1], width / 2, height / 2)


def _rho(distance: float) -> float:
    length = 2 - 1 / distance
    return length * (2 - length)
