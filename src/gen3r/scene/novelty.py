"""Which pixels of a scene show something that the frames before theirs do not."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import project, unproject
from gen3r.scene.scene import Scene

SAME_SURFACE = 0.03
"""Relative difference of depth up to which two frames show the same surface."""
COVERED = 5 / 9
"""Share of the 3x3 pixels around one that earlier points must hit to make it redundant: more than at a straight border
(3/9), and more than points over 1.3 pixels apart can hit, so that a nearer view still adds its detail."""


def newly_seen(scene: Scene, keep: Bool[Tensor, "F H W"]) -> Bool[Tensor, "F H W"]:
    """The pixels of `keep` that add something to the frames before theirs.

    A pixel is left out if its surface is covered already: points kept so far are projected into its frame, those
    within `SAME_SURFACE` of the depth there count as hits, and `COVERED` of its surroundings are hit. It is left out as
    well if its point would hang in front of a surface that an earlier frame sees: the first of two contradicting
    frames wins, in a generated scene the photo.
    """
    new = torch.zeros_like(keep)
    kept = scene.depth.new_zeros(0, 3)
    earlier: list[_View] = []
    for frame in range(scene.frames):
        view = _View(scene.depth[frame], keep[frame], scene.cameras[frame])
        rows, columns = (keep[frame] & ~view.covered(kept)).nonzero().unbind(-1)
        points = unproject(scene.depth[frame], scene.cameras[frame])[rows, columns]
        for other in earlier:
            behind = ~other.in_front(points)
            rows, columns, points = rows[behind], columns[behind], points[behind]
        new[frame, rows, columns] = True
        kept = torch.cat([kept, points])
        earlier.append(view)
    return new


class _View:
    """A depth map that answers how points lie to its surface, allowing for the slant of the surface within a pixel."""

    def __init__(self, depth: Float[Tensor, "H W"], mask: Bool[Tensor, "H W"], camera: Cameras) -> None:
        self.camera = camera
        self.nearest = (1 - SAME_SURFACE) * -_greatest_nearby(torch.where(mask, -depth, -torch.inf))
        self.farthest = (1 + SAME_SURFACE) * _greatest_nearby(torch.where(mask, depth, 0.0))
        self.mask = mask

    def covered(self, points: Float[Tensor, "N 3"]) -> Bool[Tensor, "H W"]:
        """Pixels around which enough points lie on the surface."""
        rows, columns, distance, _ = self._seen(points)
        same = (distance >= self.nearest[rows, columns]) & (distance <= self.farthest[rows, columns])
        hit = torch.zeros_like(self.nearest)
        hit[rows[same], columns[same]] = 1
        share = avg_pool2d(hit[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
        return share > COVERED - 1e-3

    def in_front(self, points: Float[Tensor, "N 3"]) -> Bool[Tensor, " N"]:
        """Points that hang between the camera and the surface."""
        rows, columns, distance, index = self._seen(points)
        front = torch.zeros(len(points), dtype=torch.bool)
        front[index] = self.mask[rows, columns] & (distance < self.nearest[rows, columns])
        return front

    def _seen(
        self, points: Float[Tensor, "N 3"]
    ) -> tuple[Int64[Tensor, " M"], Int64[Tensor, " M"], Float[Tensor, " M"], Int64[Tensor, " M"]]:
        """Row, column, z-depth and index of the points within the image."""
        pixels, distance = project(points, self.camera)
        size = pixels.new_tensor([self.camera.width, self.camera.height])
        index = ((distance > 0) & (pixels >= 0).all(-1) & (pixels < size).all(-1)).nonzero()[:, 0]
        columns, rows = pixels[index].long().unbind(-1)
        return rows, columns, distance[index], index


def _greatest_nearby(picture: Float[Tensor, "H W"]) -> Float[Tensor, "H W"]:
    return max_pool2d(picture[None, None], 3, stride=1, padding=1)[0, 0]
