"""Maps of depth and camera rays as pictures (the idea of Aether, Zhu et al. 2025, arXiv 2503.18945).

One picture per frame holds both, so that the latent is as large as that of a point map or of VGGT's adapter. Depth,
which has edges, is the brightness of the picture; rays, which are smooth, are its colour. With z in mean depths of the
first view, Y, P, Q in [-1, 1] and A = 0.25::

    Y = 2 z / (1 + z) - 1 (sky: 1);   r = .5 + A (Y + P + Q / 2),  g = .5 + A (Y - P + Q / 2),  b = .5 + A (Y - Q)

The colour of a frame is divided into fields, whose edges lie between latent cells::

    +-----------------------+  rows 0 .. 3/4   P = x / 2, Q = y / 2 of R^T (x, y, 1): the ray through the pixel, with
    |    P: x   Q: y        |                  z = 1 in its camera's axes, turned into the axes of the first camera
    +-----------+-----------+  rows 3/4 .. 1   P = o_x / (1 + |o_x|) on the left, the same of o_y on the right,
    | P: o_x    | P: o_y    |                  Q = o_z / (1 + |o_z|), with the centre o of the camera
    +-----------+-----------+

x and y of a frame's rays are two affine functions of the pixel: their slopes and values are two rows of R^T, scaled by
the lens, which the first frame tells, as its rotation is known. Two rows of a rotation are all of it.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.cameras.cameras import pinhole
from gen3r.cameras.convention import exact_matmul, rigid, rotate
from gen3r.cameras.projection import unproject
from gen3r.cameras.rays import pixel_directions
from gen3r.latents.codecs.base import ClipGeometry, CodecName
from gen3r.latents.codecs.pictures import FAR, PictureCodec
from gen3r.latents.grid import SPATIAL_STRIDE

AMPLITUDE = 0.25
"""Of brightness and colour: the largest with which every combination is a picture in [0, 1]."""
STEEPEST = 2.0
"""Components of rays (z = 1 in their camera) beyond this are cut off: fields of view of 126 degrees still fit."""
RAY_SHARE = 0.75
"""Share of the rows whose colour is rays."""
SEAM = 4
"""Pixels on either side of a seam between fields that are not read: the VAE mixes them."""


class DepthRaysCodec(PictureCodec):
    """Depth and rays in one picture, through the video VAE.

    Read back: depth pixel by pixel, cameras by least squares over the fields.
    """

    name: CodecName = "depth-rays"
    gain: ClassVar[float] = 2.0

    def paint(self, truth: ClipGeometry) -> Float[Tensor, "B F 3 H W"]:
        """See ``PictureCodec``."""
        depth = truth.depth
        brightness = torch.where(depth > 0, 2 * depth / (1 + depth) - 1, torch.ones_like(depth))
        rays = exact_matmul(pixel_directions(truth.cameras), truth.cameras.extrinsics[..., None, :3, :3])
        rays = (rays[..., :2] / STEEPEST).clamp(-1, 1)
        centers = truth.cameras.centers
        centers = (centers / (1 + centers.abs()))[..., None, None, :].expand(*rays.shape[:-1], 3)
        row, column = _seams(*depth.shape[-2:])
        origins_p = torch.cat([centers[..., row:, :column, 0], centers[..., row:, column:, 1]], dim=-1)
        p = torch.cat([rays[..., :row, :, 0], origins_p], dim=-2)
        q = torch.cat([rays[..., :row, :, 1], centers[..., row:, :, 2]], dim=-2)
        colours = torch.stack([brightness + p + q / 2, brightness - p + q / 2, brightness - q], dim=2)
        return 0.5 + AMPLITUDE * colours

    def read(
        self, pictures: Float[Tensor, "B F 3 H W"]
    ) -> tuple[Cameras, Float[Tensor, "B F H W"], Float[Tensor, "B F H W 3"]]:
        """See ``PictureCodec``."""
        colours = (pictures - 0.5) / AMPLITUDE
        brightness = colours.mean(dim=2)
        p, q = (colours[:, :, 0] - colours[:, :, 1]) / 2, brightness - colours[:, :, 2]
        cameras = _cameras(p, q)
        share = ((brightness + 1) / 2).clamp(0, 1)
        surface = share < FAR / (1 + FAR)
        depth = torch.where(surface, share / (1 - share).clamp_min(1e-6), 0).clamp_min(0)
        points = torch.where(surface[..., None], unproject(depth, cameras), 0)
        return cameras, depth, points


def _seams(height: int, width: int) -> tuple[int, int]:
    """The first row of the origins, and the first column of the second of them: between latent cells."""
    cells = height // SPATIAL_STRIDE
    return SPATIAL_STRIDE * round(RAY_SHARE * cells), SPATIAL_STRIDE * (width // SPATIAL_STRIDE // 2)


def _cameras(p: Float[Tensor, "B F H W"], q: Float[Tensor, "B F H W"]) -> Cameras:
    """Cameras of the two colours, the first one as the world."""
    height, width = p.shape[-2:]
    row, column = _seams(height, width)
    fitted = STEEPEST * torch.stack([_affine(field[..., : row - SEAM, :], height) for field in (p, q)], dim=-2)
    slopes = torch.stack([fitted[:, 0, 0, 0], fitted[:, 0, 1, 1]], dim=-1)
    slopes = slopes.clamp(0.02 / max(height, width), 4.0 / min(height, width))
    scales = torch.cat([1 / slopes, torch.ones_like(slopes[:, :1])], dim=-1)
    u, _, vh = torch.linalg.svd((fitted * scales[:, None, None]).double(), full_matrices=False)
    rows = u @ vh
    to_world = torch.cat([rows, torch.linalg.cross(rows[..., :1, :], rows[..., 1:, :])], dim=-2).to(p)
    fields = (p[..., row + SEAM :, : column - SEAM], p[..., row + SEAM :, column + SEAM :], q[..., row + SEAM :, :])
    contracted = torch.stack([field.mean((-1, -2)) for field in fields], dim=-1).clamp(-0.99, 0.99)
    centers = contracted / (1 - contracted.abs())
    extrinsics = rigid(to_world.mT, -rotate(to_world.mT, centers))
    intrinsics = pinhole(scales[:, 0], scales[:, 1], width / 2, height / 2)[:, None].expand(*p.shape[:2], 3, 3)
    return Cameras(extrinsics, intrinsics, height, width).rebased()


def _affine(field: Float[Tensor, "B F rows W"], height: int) -> Float[Tensor, "B F 3"]:
    """Least squares of a field of upper rows by the pixel: slopes by column and row, and the value at the centre."""
    rows, columns = field.shape[-2:]
    options = {"dtype": torch.float64, "device": field.device}
    v, u = torch.meshgrid(
        torch.arange(rows, **options) + 0.5 - height / 2,
        torch.arange(columns, **options) + 0.5 - columns / 2,
        indexing="ij",
    )
    places = torch.stack([u, v, torch.ones_like(u)], dim=-1).flatten(0, 1)
    return (field.flatten(2).double() @ torch.linalg.pinv(places).mT).to(field)
