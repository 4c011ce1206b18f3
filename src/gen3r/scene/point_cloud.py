"""From the depth maps of a scene to one clean coloured point cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from scipy.spatial import KDTree
from torch import Tensor

from gen3r.cameras.official import min_max_depth_mask
from gen3r.scene.cleaning import CLEANING_LEVELS, Cleaning, clean_mask
from gen3r.scene.scene import PixelAnchor, Scene

_FINEST_VOXEL = 1e-9
_BISECTIONS = 12


@dataclass(frozen=True, kw_only=True)
class PointCloudConfig:
    """What `point_cloud` keeps. The defaults suit predicted depth; exact depth loses almost nothing."""

    cleaning: Cleaning = CLEANING_LEVELS["standard"]
    """Which pixels become points."""
    voxel_pixels: float | None = 1.0
    """Keep one point per voxel, whose edge is this many pixels at the median depth. None keeps all."""
    max_points: int | None = 2_000_000
    """Keep at most about this many points, never more: see `at_most`. None keeps all."""
    outlier_deviations: float | None = None
    """Drop statistical outliers beyond this many standard deviations, see `without_outliers`. Slow; None skips it."""
    anchor: PixelAnchor = PixelAnchor.CENTRE
    """Where on a pixel its ray starts."""
    official_mask: bool = False
    """Take the official `min_max_depth_mask` in place of the scene's mask. It drops the far 2 % of every frame. For
    parity only."""

    def __post_init__(self) -> None:
        for name in ("voxel_pixels", "max_points", "outlier_deviations"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, or None to switch it off; got {value}.")


OFFICIAL_CLOUD = PointCloudConfig(anchor=PixelAnchor.INTEGER, official_mask=True)
"""The official choices of pixels and of where on them a ray starts. For parity only."""


@dataclass(frozen=True, kw_only=True)
class PointCloud:
    """N world points (OpenCV axes, scene units), CPU tensors."""

    points: Float32[Tensor, "N 3"]
    colors: UInt8[Tensor, "N 3"]
    """sRGB, 0..255."""
    confidence: Float32[Tensor, " N"]
    normals: Float32[Tensor, "N 3"]
    """Unit normals facing the camera that saw the point; zero where unknown."""

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, keep: Tensor) -> PointCloud:
        """The points selected by a boolean mask or an index tensor [M]."""
        return PointCloud(
            points=self.points[keep],
            colors=self.colors[keep],
            confidence=self.confidence[keep],
            normals=self.normals[keep],
        )


def point_cloud(
    scene: Scene, config: PointCloudConfig | None = None, keep: Bool[Tensor, "F H W"] | None = None
) -> PointCloud:
    """Merge the frames of a scene into one cloud, from depth and cameras; may be empty.

    Args:
        keep: `kept_pixels(scene, config)`, if it is known already.
    """
    config = config or PointCloudConfig()
    keep = kept_pixels(scene, config) if keep is None else keep
    points = scene.world_points(config.anchor)
    normals = surface_normals(points, scene.cameras.centers)
    cloud = PointCloud(
        points=points[keep], colors=scene.rgb[keep], confidence=scene.confidence[keep], normals=normals[keep]
    )
    pixel = pixel_footprint(scene)
    if config.voxel_pixels is not None and len(cloud):
        cloud = voxel_thinned(cloud, config.voxel_pixels * pixel)
    if config.outlier_deviations is not None:
        cloud = without_outliers(cloud, deviations=config.outlier_deviations)
    return cloud if config.max_points is None else at_most(cloud, config.max_points)


def kept_pixels(scene: Scene, config: PointCloudConfig) -> Bool[Tensor, "F H W"]:
    """Pixels that become points."""
    valid = min_max_depth_mask(scene.depth) if config.official_mask else scene.mask
    return clean_mask(scene, config.cleaning, valid)


def pixel_footprint(scene: Scene) -> float:
    """Width of a pixel on a surface at the median depth, scene units; 1 for a scene without any surface."""
    valid = scene.depth[scene.mask]
    return float(valid.median() / scene.cameras.intrinsics[:, 0, 0].median()) if valid.numel() else 1.0


def surface_normals(points: Float[Tensor, "F H W 3"], centers: Float[Tensor, "F 3"]) -> Float[Tensor, "F H W 3"]:
    """Unit normals from central differences over the pixel grid, facing the camera centre of their frame.

    Zero where the grid is too small or the surface degenerate.
    """
    if min(points.shape[1:3]) < 2:
        return torch.zeros_like(points)
    down, right = torch.gradient(points, dim=(1, 2))
    normals = torch.nn.functional.normalize(torch.linalg.cross(right, down), dim=-1)
    toward = centers[:, None, None] - points
    return torch.where((normals * toward).sum(-1, keepdim=True) < 0, -normals, normals)


def voxel_thinned(cloud: PointCloud, edge: float, origin: Float[Tensor, " 3"] | None = None) -> PointCloud:
    """Keep the most confident point of each cubic voxel, the first of equals.

    Args:
        edge: of a voxel, scene units.
        origin: a corner of the grid; the world's origin if left out.
    """
    if not edge > 0:
        raise ValueError(f"the voxel edge must be positive, got {edge}.")
    best_first = np.argsort(-cloud.confidence.numpy(), kind="stable")
    _, first = np.unique(_voxels(cloud, edge, origin)[best_first], return_index=True)
    return cloud[torch.from_numpy(np.sort(best_first[first]))]


def at_most(cloud: PointCloud, count: int) -> PointCloud:
    """At most `count` points, evenly over space: the most confident one of each voxel of the finest grid that fits.

    Bisection finds the edge of the voxels to within 1 %; a cloud that is small enough is returned as it is.
    """
    if len(cloud) <= count:
        return cloud
    corner = cloud.points.amin(dim=0)
    fits = 2 * float((cloud.points - corner).max()) or 1.0
    too_fine = fits * _FINEST_VOXEL
    for _ in range(_BISECTIONS):
        middle = (fits * too_fine) ** 0.5
        if len(np.unique(_voxels(cloud, middle, corner))) <= count:
            fits = middle
        else:
            too_fine = middle
    return voxel_thinned(cloud, fits, corner)


def _voxels(cloud: PointCloud, edge: float, origin: Float[Tensor, " 3"] | None) -> Int64[np.ndarray, " N"]:
    """One number per point, equal for points of one voxel."""
    points = cloud.points if origin is None else cloud.points - origin
    cells = np.floor(points.numpy().astype(np.float64) / edge)
    cells = np.stack([np.unique(axis, return_inverse=True)[1] for axis in cells.T]) if _sparse(cells) else cells.T
    cells = (cells - cells.min(axis=1, keepdims=True)).astype(np.int64)
    _, y, z = (int(n) + 1 for n in cells.max(axis=1))
    return (cells[0] * y + cells[1]) * z + cells[2]


def without_outliers(cloud: PointCloud, *, neighbours: int = 16, deviations: float = 2.0) -> PointCloud:
    """Drop points whose mean distance to their nearest `neighbours` is above mean + deviations * std of all points."""
    if len(cloud) <= neighbours:
        return cloud
    points = cloud.points.numpy()
    distances, _ = KDTree(points).query(points, k=neighbours + 1)
    mean = distances[:, 1:].mean(axis=1)
    return cloud[torch.from_numpy(mean <= mean.mean() + deviations * mean.std())]


def _sparse(cells: np.ndarray) -> bool:
    """Whether the box of cells is too large for one 64-bit key, as with a few points extremely far away."""
    extent = cells.max(axis=0) - cells.min(axis=0) + 1
    return bool(extent.prod() > 2.0**62)
