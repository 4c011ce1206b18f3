"""mesh/: the surface, its collision bodies, URDF and MJCF, for physics engines."""

from __future__ import annotations

from pathlib import Path

from gen3r.scene.export.source import ExportSource
from gen3r.scene.mesh.collision import convex_parts
from gen3r.scene.mesh.simulation import write_simulation
from gen3r.scene.mesh.upright import upright_from_scene


def write(source: ExportSource, folder: Path) -> None:
    """Write the folder `mesh`; see `scene.mesh.simulation` for its files and its upright world.

    Raises `ValueError` if no surface survives cleaning.
    """
    mesh, cameras = source.mesh, source.scene.cameras
    write_simulation(folder / "mesh", mesh, convex_parts(mesh), upright_from_scene(mesh, cameras), cameras)
