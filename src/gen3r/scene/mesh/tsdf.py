"""Depth maps into one surface: a truncated signed distance field in a sparse voxel grid, through Open3D."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import open3d as o3d
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from gen3r.cameras.projection import project, unproject
from gen3r.scene.cleaning import depth_edges
from gen3r.scene.mesh.mesh import MeshConfig, NoSurface
from gen3r.scene.scene import Scene

_BLOCK = 8  # voxels along the edge of a block
_EDGE = 0.06  # bend of the inverse depth beyond which neighbouring pixels lie on different surfaces
_FINE_PIXELS = 448  # depth maps are refined to at least this size


@dataclass(frozen=True, kw_only=True)
class Surface:
    """What marching cubes found."""

    vertices: Float64[np.ndarray, "V 3"]
    """World points."""
    faces: Int64[np.ndarray, "T 3"]
    """Counter-clockwise seen from the cameras."""
    voxel: float
    """Edge of a voxel, scene units."""


def zero_surface(scene: Scene, keep: Bool[Tensor, "F H W"], config: MeshConfig) -> Surface:
    """Where the distance to the kept pixels is zero.

    Pixels of Open3D's `VoxelBlockGrid` are ours: pixel i covers [i, i + 1]. (In its older `ScalableTSDFVolume` pixel
    centres are integers, so there cx and cy would have to shrink by 0.5.)

    Raises `NoSurface` if no pixel is kept, or if the kept ones make no surface.
    """
    if not bool(keep.any()):
        raise NoSurface("no pixel is left to make a mesh of; clean less, or check the scene's mask.")
    if config.far is not None:
        keep = keep & (scene.depth <= config.far * scene.depth[keep].median())
    median, focal = float(scene.depth[keep].median()), float(scene.cameras.intrinsics[:, 0, 0].median())
    noise = median * disagreement(scene, keep)
    voxel = max(config.voxel_pixels * median / focal, noise / 2)
    while True:
        truncation = max(config.truncation_voxels, config.truncation_noise * noise / voxel)
        blocks = _blocks(scene, keep, voxel, truncation)
        if (count := _distinct(blocks)) <= config.max_blocks:
            break
        voxel *= max(1.1, math.sqrt(count / config.max_blocks))
    grid = _grid(voxel, count)
    for view, coordinates in zip(_views(scene, keep), blocks, strict=True):
        if len(coordinates):
            where = o3d.core.Tensor.from_numpy(coordinates)
            camera = (view.intrinsics, view.extrinsics)
            grid.integrate(where, view.depth, *camera, 1.0, view.far, truncation)
    mesh = grid.extract_triangle_mesh(0.5) if count else None
    if mesh is None or mesh.is_empty():
        raise NoSurface("the kept pixels make no surface; clean less, or use smaller voxels.")
    vertices, faces = _ordered(mesh.vertex.positions.numpy(), mesh.triangle.indices.numpy())
    return Surface(vertices=vertices, faces=faces, voxel=voxel)


def _ordered(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices by place and triangles by vertex: the library's threads leave another order in every run."""
    order = np.lexsort(vertices.T)
    faces = np.argsort(order)[faces]
    lowest = faces.argmin(axis=1)
    faces = faces[np.arange(len(faces))[:, None], (lowest[:, None] + np.arange(3)) % 3]
    return vertices[order].astype(np.float64), faces[np.lexsort(faces.T)].astype(np.int64)


def refined_depth(
    depth: Float32[Tensor, "H W"], keep: Bool[Tensor, "H W"], factor: int
) -> Float32[Tensor, "{factor}*H {factor}*W"]:
    """Depth at `factor` times the pixels, 0 where nothing is kept.

    Within a surface the inverse depth is interpolated, which is exact for planes: without it a slanted floor becomes
    stairs as wide as a pixel. Beside edges and gaps each pixel keeps its own depth, so that nothing is bridged.
    """
    inverse = torch.where(keep, 1 / depth.clamp_min(1e-8), 0.0)[None, None]
    rough = (~keep | depth_edges(depth, keep, _EDGE)).float()[None, None]
    rough = torch.nn.functional.max_pool2d(rough, 3, stride=1, padding=1)
    smooth = torch.nn.functional.interpolate(inverse, scale_factor=factor, mode="bilinear", align_corners=False)
    nearest = inverse.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    is_rough = rough.repeat_interleave(factor, 2).repeat_interleave(factor, 3) > 0
    fine = torch.where(is_rough, nearest, smooth)[0, 0]
    return torch.where(fine > 0, 1 / fine.clamp_min(1e-8), 0.0)


def disagreement(scene: Scene, keep: Bool[Tensor, "F H W"]) -> float:
    """How far successive frames differ about the depth of the same points: the median, relative to depth.

    0 for a single frame and for frames that share no surface.
    """
    errors = [torch.empty(0)]
    for index in range(scene.frames - 1):
        points = unproject(scene.depth[index], scene.cameras[index])[keep[index]]
        pixels, depth = project(points, scene.cameras[index + 1])
        column, row = pixels.floor().nan_to_num(-1, -1, -1).unbind(-1)
        inside = (depth > 0) & (column >= 0) & (column < scene.width) & (row >= 0) & (row < scene.height)
        place = (row[inside] * scene.width + column[inside]).long()
        both = keep[index + 1].flatten()[place]
        found = scene.depth[index + 1].flatten()[place]
        errors.append(((found - depth[inside]).abs() / depth[inside])[both])
    relative = torch.cat(errors)
    return float(relative.median()) if relative.numel() else 0.0


@dataclass(frozen=True, kw_only=True)
class _View:
    """One frame as Open3D takes it."""

    depth: o3d.t.geometry.Image
    intrinsics: o3d.core.Tensor
    extrinsics: o3d.core.Tensor
    far: float


def _views(scene: Scene, keep: Bool[Tensor, "F H W"]) -> Iterator[_View]:
    factor = max(1, math.ceil(_FINE_PIXELS / max(scene.height, scene.width)))
    cameras = scene.cameras.resize(factor * scene.height, factor * scene.width)
    for index in range(scene.frames):
        depth = refined_depth(scene.depth[index], keep[index], factor)
        yield _View(
            depth=o3d.t.geometry.Image(o3d.core.Tensor.from_numpy(depth[..., None].contiguous().numpy())),
            intrinsics=o3d.core.Tensor.from_numpy(cameras.intrinsics[index].double().numpy()),
            extrinsics=o3d.core.Tensor.from_numpy(cameras.extrinsics[index].double().numpy()),
            far=1.01 * float(depth.max()),
        )


def _blocks(scene: Scene, keep: Bool[Tensor, "F H W"], voxel: float, truncation: float) -> list[np.ndarray]:
    """Per frame, the blocks of voxels near its surfaces: int32 [n, 3], none for a frame without pixels."""
    grid = _grid(voxel, 1000)
    return [
        grid.compute_unique_block_coordinates(
            view.depth, view.intrinsics, view.extrinsics, 1.0, view.far, truncation
        ).numpy()
        if view.far > 0
        else np.empty((0, 3), dtype=np.int32)
        for view in _views(scene, keep)
    ]


def _grid(voxel: float, blocks: int) -> o3d.t.geometry.VoxelBlockGrid:
    return o3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight"),
        attr_dtypes=(o3d.core.float32, o3d.core.float32),
        attr_channels=(o3d.core.SizeVector([1]), o3d.core.SizeVector([1])),
        voxel_size=voxel,
        block_resolution=_BLOCK,
        block_count=max(1, blocks),
    )


def _distinct(blocks: list[np.ndarray]) -> int:
    return len(np.unique(np.concatenate(blocks), axis=0))
