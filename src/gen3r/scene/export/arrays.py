"""scene.safetensors, scene.json and the input views."""

from __future__ import annotations

from pathlib import Path

from gen3r.scene.export.source import ExportSource


def write(source: ExportSource, folder: Path) -> None:
    """Save the scene exactly, and its input views if there are any."""
    source.scene.save(folder)
    if source.views is not None:
        source.views.save(folder)
