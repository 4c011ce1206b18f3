"""`fuse`: from the depth of all frames to one clean, coloured mesh."""

from __future__ import annotations

import open3d as o3d
import torch
from jaxtyping import Bool
from torch import Tensor

from gen3r.scene.mesh.mesh import Mesh, MeshConfig, vertex_normals
from gen3r.scene.mesh.paint import surface_colors
from gen3r.scene.mesh.repair import facing, simplified, sound, welded, without_small_pieces
from gen3r.scene.mesh.texture import frame_texture
from gen3r.scene.mesh.tsdf import zero_surface
from gen3r.scene.scene import Scene


def fuse(scene: Scene, keep: Bool[Tensor, "F H W"], config: MeshConfig | None = None) -> Mesh:
    """Fuse the depth of all frames into one surface.

    Args:
        keep: pixels to use, within the scene's mask; see `scene.cleaning.clean_mask`.

    Raises `ValueError` if no pixel is kept or the kept pixels make no surface.
    """
    config = config or MeshConfig()
    keep = keep & scene.mask
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        surface = zero_surface(scene, keep, config)
    vertices, faces = welded(surface.vertices, surface.faces, surface.voxel)
    vertices, faces = facing(vertices, faces, scene.cameras.centers.double().numpy())
    vertices, faces = without_small_pieces(*sound(vertices, faces), config.min_component)
    if config.max_faces is not None:
        vertices, faces = simplified(vertices, faces, config.max_faces)
    points, triangles = torch.from_numpy(vertices).float(), torch.from_numpy(faces)
    normals = vertex_normals(points, triangles)
    colors = surface_colors(points, normals, scene, tolerance=surface.voxel)
    texture = None
    if config.texture is not None:
        texture = frame_texture(
            points, triangles, normals, colors, scene, tolerance=surface.voxel, max_size=config.texture
        )
    return Mesh(vertices=points, faces=triangles, normals=normals, colors=colors, texture=texture)
