"""From the depth maps of a scene to one clean coloured point cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from scipy.spatial import KDTree
from torch import Tensor

from gen3r.cameras.official import min_max_depth_mask
from gen3r.scene.scene import PixelAnchor, Scene


@dataclass(frozen=True, kw_only=True)
class PointCloudConfig:
    """What `point_cloud` keeps. The defaults suit predicted depth; exact depth loses almost nothing."""

    confidence_quantile: float = 0.2
    """Drop this fraction of the valid pixels, the least confident; ties with the limit stay. 0 keeps all."""
    depth_edge: float | None = 0.06
    """Drop pixels on depth discontinuities, see `depth_edges`. None keeps them."""
    voxel_pixels: float | None = 1.0
    """Keep one point per voxel, whose edge is this many pixels at the median depth. None keeps all."""
    max_points: int | None = 2_000_000
    """Thin evenly to at most this many points. None keeps all."""
    outlier_deviations: float | None = None
    """Drop statistical outliers beyond this many standard deviations, see `without_outliers`. Slow; None skips it."""
    anchor: PixelAnchor = PixelAnchor.CENTRE
    """Where on a pixel its ray starts."""
    official_mask: bool = False
    """Take the official `min_max_depth_mask` in place of the scene's mask. It drops the far 2 % of every frame. For
    parity only."""

    def __post_init__(self) -> None:
        if not 0 <= self.confidence_quantile < 1:
            raise ValueError(f"confidence_quantile must be in [0, 1), got {self.confidence_quantile}.")
        for name in ("depth_edge", "voxel_pixels", "max_points", "outlier_deviations"):
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


def point_cloud(scene: Scene, config: PointCloudConfig | None = None) -> PointCloud:
    """Merge the frames of a scene into one cloud, from depth and cameras; may be empty."""
    config = config or PointCloudConfig()
    valid = min_max_depth_mask(scene.depth) if config.official_mask else scene.mask
    keep = valid & _confident(scene.confidence, valid, config.confidence_quantile)
    if config.depth_edge is not None:
        keep &= ~depth_edges(scene.depth, valid, config.depth_edge)
    points = scene.world_points(config.anchor)
    normals = surface_normals(points, scene.cameras.centers)
    cloud = PointCloud(
        points=points[keep], colors=scene.rgb[keep], confidence=scene.confidence[keep], normals=normals[keep]
    )
    if config.voxel_pixels is not None and len(cloud):
        focal = scene.cameras.intrinsics[:, 0, 0].median()
        cloud = voxel_thinned(cloud, float(config.voxel_pixels * scene.depth[valid].median() / focal))
    if config.outlier_deviations is not None:
        cloud = without_outliers(cloud, deviations=config.outlier_deviations)
    if config.max_points is not None and len(cloud) > config.max_points:
        cloud = cloud[torch.linspace(0, len(cloud) - 1, config.max_points, dtype=torch.float64).round().long()]
    return cloud


def depth_edges(
    depth: Float[Tensor, "*b H W"], mask: Bool[Tensor, "*b H W"], threshold: float
) -> Bool[Tensor, "*b H W"]:
    """True beside depth discontinuities, where predicted depth smears foreground into background.

    With q = 1 / depth (0 outside `mask`, as if infinitely far), a pixel is an edge if along x or y
    |q_left + q_right - 2 q| > threshold * q. The inverse depth of a plane is linear in the image, so slanted
    planes pass whatever their slant, unlike with a test on depth differences.
    """
    inverse = torch.where(mask, 1 / depth.clamp_min(1e-8), 0.0)
    bend = torch.zeros_like(inverse)
    for axis in (-1, -2):
        n = inverse.shape[axis]
        if n < 3:
            continue
        centre = inverse.narrow(axis, 1, n - 2)
        second = (inverse.narrow(axis, 0, n - 2) + inverse.narrow(axis, 2, n - 2) - 2 * centre).abs()
        inner = bend.narrow(axis, 1, n - 2)
        inner.copy_(torch.maximum(inner, second))
    return mask & (bend > threshold * inverse)


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


def voxel_thinned(cloud: PointCloud, edge: float) -> PointCloud:
    """Keep the most confident point of each cubic voxel (edge in scene units; grid through the origin)."""
    if not edge > 0:
        raise ValueError(f"the voxel edge must be positive, got {edge}.")
    cells = np.floor(cloud.points.numpy().astype(np.float64) / edge)
    cells = np.stack([np.unique(axis, return_inverse=True)[1] for axis in cells.T]) if _sparse(cells) else cells.T
    cells = (cells - cells.min(axis=1, keepdims=True)).astype(np.int64)
    _, y, z = (int(n) + 1 for n in cells.max(axis=1))
    keys = (cells[0] * y + cells[1]) * z + cells[2]
    best_first = np.argsort(-cloud.confidence.numpy(), kind="stable")
    _, first = np.unique(keys[best_first], return_index=True)
    return cloud[torch.from_numpy(np.sort(best_first[first]))]


def without_outliers(cloud: PointCloud, *, neighbours: int = 16, deviations: float = 2.0) -> PointCloud:
    """Drop points whose mean distance to their nearest `neighbours` is above mean + deviations * std of all points."""
    if len(cloud) <= neighbours:
        return cloud
    points = cloud.points.numpy()
    distances, _ = KDTree(points).query(points, k=neighbours + 1)
    mean = distances[:, 1:].mean(axis=1)
    return cloud[torch.from_numpy(mean <= mean.mean() + deviations * mean.std())]


def _confident(
    confidence: Float[Tensor, "F H W"], mask: Bool[Tensor, "F H W"], quantile: float
) -> Bool[Tensor, "F H W"]:
    valid = confidence[mask]
    if not valid.numel() or quantile == 0:
        return mask
    # Through numpy: torch.quantile refuses more than 16 million values.
    return confidence >= float(np.quantile(valid.numpy(), quantile, method="lower"))


def _sparse(cells: np.ndarray) -> bool:
    """Whether the box of cells is too large for one 64-bit key, as with a few points extremely far away."""
    extent = cells.max(axis=0) - cells.min(axis=0) + 1
    return bool(extent.prod() > 2.0**62)
