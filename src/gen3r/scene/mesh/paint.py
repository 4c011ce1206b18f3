"""Colours of surface points, from the frames that see them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from gen3r.cameras.projection import project
from gen3r.scene.scene import Scene

_SHARPNESS = 4.0  # exponent on the weight of a view: the best one dominates, its neighbours soften the seams
_HIDDEN = 0.03  # share of depth by which a point may lie behind a frame's depth and still count as seen
_GREY = 128


def surface_colors(
    points: Float32[Tensor, "N 3"],
    normals: Float32[Tensor, "N 3"],
    scene: Scene,
    *,
    tolerance: float,
) -> UInt8[Tensor, "N 3"]:
    """Blend the frames that see each point, those that see it near and head-on above all.

    A frame sees a point if its depth there is the point's, within 3 % and three times `tolerance` (scene units). A
    point seen by none takes the colour of its nearest neighbour that is seen; grey if there is none.
    """
    total = torch.zeros(len(points), 3)
    weights = torch.zeros(len(points))
    for index in range(scene.frames):
        colors, weight = _from_frame(points, normals, scene, index, tolerance)
        total += weight[:, None] * colors
        weights += weight
    seen = weights > 0
    colors = torch.full((len(points), 3), _GREY, dtype=torch.uint8)
    colors[seen] = (total[seen] / weights[seen, None]).round().clamp(0, 255).byte()
    if bool(seen.any()) and not bool(seen.all()):
        _, nearest = KDTree(points[seen].numpy()).query(points[~seen].numpy())
        colors[~seen] = colors[seen][torch.from_numpy(np.asarray(nearest))]
    return colors


def views_of(
    points: Float32[Tensor, "N 3"], normals: Float32[Tensor, "N 3"], scene: Scene, index: int, tolerance: float
) -> Float[Tensor, " N"]:
    """How well one frame sees each point: more from near and head-on, 0 where it does not."""
    return _from_frame(points, normals, scene, index, tolerance)[1]


def _from_frame(
    points: Float32[Tensor, "N 3"], normals: Float32[Tensor, "N 3"], scene: Scene, index: int, tolerance: float
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, " N"]]:
    """Colours (0..255) in one frame, and how much each is worth."""
    camera = scene.cameras[index]
    pixels, depth = project(points, camera)
    size = points.new_tensor([scene.width, scene.height])
    place = (2 * pixels / size - 1)[None, None]  # grid_sample's -1..1 spans the same image plane
    inside = ((pixels >= 0) & (pixels <= size)).all(-1) & (depth > 0)
    place = torch.where(inside[:, None], place, 0.0)
    picture = scene.rgb[index].permute(2, 0, 1)[None].float()
    colors = grid_sample(picture, place, mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0].T
    surface = torch.where(scene.mask[index], scene.depth[index], 0.0)[None, None]
    found = grid_sample(surface, place, mode="nearest", padding_mode="border", align_corners=False)[0, 0, 0]
    seen = inside & _agrees(depth, found, tolerance)
    toward = normalize(camera.centers - points, dim=-1)
    cosine = (toward * normals).sum(-1).clamp_min(0.05)
    return colors, torch.where(seen, (cosine / depth.clamp_min(1e-8)) ** _SHARPNESS, 0.0)


def _agrees(depth: Float[Tensor, " N"], found: Float[Tensor, " N"], tolerance: float) -> Bool[Tensor, " N"]:
    return (found > 0) & ((depth - found).abs() < _HIDDEN * found + 3 * tolerance)
