"""mesh.glb: the textured surface and the cameras as glTF 2.0 binary."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import trimesh
from PIL import Image
from trimesh.exchange.gltf import export_glb
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from gen3r.scene.export.glb import FLIP, ROOT, finish, linear
from gen3r.scene.export.source import ExportSource
from gen3r.scene.frusta import clipping_range
from gen3r.scene.mesh.mesh import Mesh
from gen3r.scene.mesh.texture import split_vertices


def write(source: ExportSource, folder: Path) -> None:
    """Write the surface and one glTF camera per frame, in the world and with the cameras of scene.glb.

    Raises `ValueError` if no surface survives cleaning.
    """
    document = trimesh.Scene()
    document.graph.update(frame_to=ROOT, matrix=FLIP)
    document.add_geometry(_geometry(source.mesh), node_name="mesh", geom_name="mesh", parent_node_name=ROOT)
    near, _ = clipping_range(source.scene)
    data = export_glb(
        document, include_normals=True, tree_postprocessor=lambda tree: finish(tree, source.scene.cameras, near)
    )
    (folder / "mesh.glb").write_bytes(cast(bytes, data))


def _geometry(mesh: Mesh) -> trimesh.Trimesh:
    if mesh.texture is None:
        return trimesh.Trimesh(
            mesh.vertices.numpy(),
            mesh.faces.numpy(),
            vertex_normals=mesh.normals.numpy(),
            vertex_colors=linear(mesh.colors.numpy()),
            process=False,
        )
    source, faces, uv = split_vertices(mesh.faces, mesh.texture.uv)
    picture = Image.fromarray(mesh.texture.image.numpy())
    material = PBRMaterial(baseColorTexture=picture, metallicFactor=0.0, roughnessFactor=1.0)
    return trimesh.Trimesh(
        mesh.vertices[source].numpy(),
        faces.numpy(),
        vertex_normals=mesh.normals[source].numpy(),
        visual=TextureVisuals(uv=uv.numpy(), material=material),
        process=False,
    )
