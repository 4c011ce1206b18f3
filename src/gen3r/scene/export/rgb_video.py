"""rgb.mp4: the frames."""

from __future__ import annotations

from pathlib import Path

from gen3r.scene.export.source import ExportSource
from gen3r.scene.export.video import write_h264


def write(source: ExportSource, folder: Path) -> None:
    """Encode the frames in order."""
    write_h264(folder / "rgb.mp4", (frame.numpy() for frame in source.scene.rgb))
