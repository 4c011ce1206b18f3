"""The ways to draw the surfaces of a scene: points, splats, mesh. Each is one entry of `GEOMETRIES`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import viser
from viser.transforms import SO3

from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.extras import MESH, Extra

SPLATS = 300_000
"""Most splats shown: browsers sort them for every view."""
UNLIT = "KHR_materials_unlit"
"""glTF's name for surfaces that shine by themselves."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be drawn."""

    node: str
    """Name of the node in viser's tree; its parent places the scene."""
    shown: ShownScene
    """The scene."""
    filters: Filters
    """Which of its pixels."""
    frame: int | None
    """One frame, or all."""
    scale: float
    """World units per scene unit."""
    point_size: float
    """World units."""


@runtime_checkable
class Draw(Protocol):
    """Adds one node; None if nothing passes the filters."""

    def __call__(self, api: viser.SceneApi, request: Request) -> viser.SceneNodeHandle | None: ...


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """One way to draw."""

    draw: Draw
    by_frame: bool = True
    """Whether a single frame can be drawn; if not, all frames are drawn whatever is asked."""
    extra: Extra | None = None
    """Libraries it needs beyond the viewer's."""

    @property
    def available(self) -> bool:
        """Whether its libraries are here."""
        return self.extra is None or not self.extra.missing


def draw_points(api: viser.SceneApi, request: Request) -> viser.SceneNodeHandle | None:
    """Round points as large as a pixel at its depth, times a factor."""
    points = request.shown.points(request.filters, request.frame)
    if not len(points):
        return None
    return api.add_point_cloud(
        request.node,
        points.positions * np.float32(request.scale),
        points.colors,
        point_size=request.point_size,
        point_shape="circle",
        point_shading="flat",
        precision="float32",
    )


def draw_splats(api: viser.SceneApi, request: Request) -> viser.SceneNodeHandle | None:
    """Gaussians straight from depth, as the format 3dgs has them."""
    from gen3r.scene.gaussians import gaussians_from_depth

    keep = request.shown.keep(request.filters)
    if request.frame is not None:
        only = torch.zeros_like(keep)
        only[request.frame] = keep[request.frame]
        keep = only
    splats = gaussians_from_depth(request.shown.scene, keep, min(SPLATS, request.filters.max_points))
    if not len(splats.means):
        return None
    axes = SO3(splats.rotations.numpy()).as_matrix() * (splats.scales.numpy() * request.scale)[:, None, :]
    return api.add_gaussian_splats(
        request.node,
        centers=splats.means.numpy() * request.scale,
        covariances=axes @ axes.swapaxes(-1, -2),
        rgbs=splats.colors.numpy(),
        opacities=splats.opacities.numpy()[:, None],
    )


def draw_mesh(api: viser.SceneApi, request: Request) -> viser.SceneNodeHandle | None:
    """The frames fused to one surface, as the format mesh has it; `ValueError` if the pixels make none."""
    import trimesh
    from trimesh.exchange.gltf import export_glb

    from gen3r.scene.export.glb import linear
    from gen3r.scene.mesh import fuse

    keep = request.shown.keep(request.filters)
    if not bool(keep.any()):
        return None
    mesh = fuse(request.shown.scene, keep)
    surface = trimesh.Trimesh(
        vertices=mesh.vertices.numpy() * request.scale,
        faces=mesh.faces.numpy(),
        vertex_colors=linear(mesh.colors.numpy()),
        process=False,
    )
    content = export_glb(trimesh.Scene(surface), tree_postprocessor=_without_light)
    return api.add_glb(request.node, content, cast_shadow=False, receive_shadow=False)


def _without_light(tree: dict[str, Any]) -> None:
    """Show the colours of a glTF tree as they are: photographs have their light in them."""
    tree["materials"] = [{"doubleSided": True, "extensions": {UNLIT: {}}}]
    tree["extensionsUsed"] = [UNLIT]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0


GEOMETRIES: Mapping[str, Geometry] = MappingProxyType(
    {
        "Points": Geometry(draw=draw_points),
        "Splats": Geometry(draw=draw_splats),
        "Mesh": Geometry(draw=draw_mesh, by_frame=False, extra=MESH),
    }
)
"""By the name the panel shows."""
