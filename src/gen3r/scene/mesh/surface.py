"""`fuse`: from the depth of all frames to one clean, coloured mesh."""

from __future__ import annotations

import logging

import numpy as np
import open3d as o3d
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from gen3r.scene.mesh.mesh import Mesh, MeshConfig, NoSurface, vertex_normals
from gen3r.scene.mesh.paint import surface_colors
from gen3r.scene.mesh.repair import area_vectors, facing, simplified, sound, welded, without_small_pieces
from gen3r.scene.mesh.texture import frame_texture
from gen3r.scene.mesh.tsdf import zero_surface
from gen3r.scene.scene import Scene

_LOST = 0.1  # share of the surface that a limit on triangles may cost without a word

_log = logging.getLogger(__name__)


def fuse(scene: Scene, keep: Bool[Tensor, "F H W"], config: MeshConfig | None = None) -> Mesh:
    """Fuse the depth of all frames into one surface.

    Args:
        keep: pixels to use, within the scene's mask; see `scene.cleaning.clean_mask`.

    Raises `NoSurface` if no pixel is kept or the kept pixels make no surface.
    """
    config = config or MeshConfig()
    keep = keep & scene.mask
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        surface = zero_surface(scene, keep, config)
    vertices, faces = welded(surface.vertices, surface.faces, surface.voxel)
    vertices, faces = facing(vertices, faces, scene.cameras.centers.double().numpy())
    vertices, faces = without_small_pieces(*sound(vertices, faces), config.min_component)
    if not len(faces):
        raise NoSurface("every triangle turns its back on the cameras; check the scene's depth and cameras.")
    if config.max_faces is not None and len(faces) > config.max_faces:
        vertices, faces = _limited(vertices, faces, config.max_faces, config.min_component)
    points, triangles = torch.from_numpy(vertices).float(), torch.from_numpy(faces)
    normals = vertex_normals(points, triangles)
    colors = surface_colors(points, normals, scene, tolerance=surface.voxel)
    texture = None
    if config.texture is not None:
        texture = frame_texture(
            points, triangles, normals, colors, scene, tolerance=surface.voxel, max_size=config.texture
        )
    return Mesh(vertices=points, faces=triangles, normals=normals, colors=colors, texture=texture)


def _limited(
    vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"], max_faces: int, min_component: float
) -> tuple[Float64[np.ndarray, "W 3"], Int64[np.ndarray, "U 3"]]:
    """Simplified and rid of what came off; says so where the limit is missed or costs much of the surface."""
    points, triangles = without_small_pieces(*simplified(vertices, faces, max_faces), min_component)
    if not len(triangles):
        raise NoSurface(f"nothing is left of the surface with {max_faces} triangles; allow more.")
    if len(triangles) > max_faces:
        _log.warning("The mesh has %d triangles, not %d: fewer would fold it.", len(triangles), max_faces)
    lost = 1 - _area(points, triangles) / _area(vertices, faces)
    if lost > _LOST:
        _log.warning("%d triangles are too few: %.0f %% of the surface is gone; allow more.", max_faces, 100 * lost)
    return points, triangles


def _area(vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"]) -> float:
    return float(np.linalg.norm(area_vectors(vertices, faces), axis=1).sum())
