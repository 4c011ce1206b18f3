"""Which frames see which points: the observations that structure-from-motion and its trainers work on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import rigid
from gen3r.cameras.pose_encoding import quaternion_from_rotation, rotation_from_quaternion
from gen3r.cameras.projection import project
from gen3r.scene.point_cloud import PointCloud
from gen3r.scene.scene import Scene

DEPTH_AGREEMENT = 0.03
"""Largest difference between a point's depth and a frame's, as a share of the latter, for the frame to see it."""


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """N points and M observations of them, sorted by point, then by frame."""

    points: Float64[Tensor, "N 3"]
    """World, OpenCV axes, scene units."""
    colors: UInt8[Tensor, "N 3"]
    """sRGB."""
    point: Int64[Tensor, " M"]
    """Which point is seen."""
    frame: Int64[Tensor, " M"]
    """Which frame sees it."""
    pixels: Float64[Tensor, "M 2"]
    """Where: (x, y) in the image, pixel centres at +0.5."""


def find_tracks(
    scene: Scene, keep: Bool[Tensor, "F H W"], cloud: PointCloud, agreement: float = DEPTH_AGREEMENT
) -> Tracks:
    """Project every point of the cloud into every frame and note where it is seen.

    A frame sees a point whose projection falls on a kept pixel, and whose depth is within `agreement` of the frame's
    own, interpolated between pixels (linearly in inverse depth, which is exact on planes), and within twice that of
    the pixel's, since what is interpolated across an edge is nowhere. Points that fewer than two frames see are left
    out, unless that is all there is.
    """
    cameras = exact_rotations(scene.cameras)
    points = cloud.points.double()
    found: list[tuple[Tensor, Tensor]] = []
    for index in range(scene.frames):
        pixels, depth = project(points, cameras[index])
        visible = _sees(scene.depth[index].double(), keep[index], pixels, depth, agreement)
        found.append((visible.nonzero()[:, 0], pixels[visible]))
    point = torch.cat([indices for indices, _ in found])
    frame = torch.repeat_interleave(torch.arange(scene.frames), torch.tensor([len(indices) for indices, _ in found]))
    pixels = torch.cat([places for _, places in found])
    counts = torch.bincount(point, minlength=len(points))
    chosen = counts >= 2 if bool((counts >= 2).any()) else counts >= 1
    new_index = chosen.cumsum(0) - 1
    order = point.argsort(stable=True)
    order = order[chosen[point[order]]]
    point, frame, pixels = new_index[point[order]], frame[order], pixels[order]
    return Tracks(points=points[chosen], colors=cloud.colors[chosen], point=point, frame=frame, pixels=pixels)


def exact_rotations(cameras: Cameras) -> Cameras:
    """The cameras in float64 with rotations that are orthonormal to its last digits, as quaternions make them."""
    cameras = cameras.to(dtype=torch.float64)
    rotation = rotation_from_quaternion(quaternion_from_rotation(cameras.extrinsics[..., :3, :3]))
    return replace(cameras, extrinsics=rigid(rotation, cameras.extrinsics[..., :3, 3]))


def _sees(
    depth: Float64[Tensor, "H W"],
    keep: Bool[Tensor, "H W"],
    pixels: Float64[Tensor, "N 2"],
    z: Float64[Tensor, " N"],
    agreement: float,
) -> Bool[Tensor, " N"]:
    height, width = depth.shape
    inside = (z > 0) & (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    x, y = pixels.nan_to_num(0.0, 0.0, 0.0).clamp(-1, max(height, width)).long().unbind(1)
    inverse = torch.where(keep, 1 / depth.clamp_min(1e-12), 0.0)
    here = z * inverse[y.clamp(0, height - 1), x.clamp(0, width - 1)]  # 0, far from 1, where the pixel is not kept
    between = z * _between_pixels(inverse, pixels)
    return inside & ((here - 1).abs() <= 2 * agreement) & ((between - 1).abs() <= agreement)


def _between_pixels(image: Float64[Tensor, "H W"], pixels: Float[Tensor, "N 2"]) -> Float64[Tensor, " N"]:
    """Bilinear values at (x, y), pixel centres at +0.5; edges repeat."""
    size = pixels.new_tensor([image.shape[1], image.shape[0]])
    grid = (2 * pixels / size - 1).nan_to_num(2.0, 2.0, 2.0).clamp(-2, 2)[None, None]
    return F.grid_sample(image[None, None], grid, padding_mode="border", align_corners=False)[0, 0, 0]
