"""The mesh for formats that are good without one as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gen3r.extras import MESH
from gen3r.scene.export.source import ExportSource

if TYPE_CHECKING:
    from gen3r.scene.mesh import Mesh

_EXTRA = MESH


def mesh_if_possible(source: ExportSource) -> Mesh | None:
    """The mesh of the scene, or None if the extra `mesh` is not installed or what survives cleaning is no surface."""
    if _EXTRA.missing:
        return None
    from gen3r.scene.mesh import NoSurface

    try:
        return source.mesh
    except NoSurface:  # no reason to have no cameras and points
        return None
