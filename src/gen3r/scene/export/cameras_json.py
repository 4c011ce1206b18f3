"""cameras.json: poses and intrinsics, readable by `gen3r generate --cameras`."""

from __future__ import annotations

from pathlib import Path

from gen3r.scene.camera_files import write_cameras
from gen3r.scene.export.source import ExportSource


def write(source: ExportSource, folder: Path) -> None:
    """Write the cameras of every frame."""
    write_cameras(folder / "cameras.json", source.scene.cameras)
