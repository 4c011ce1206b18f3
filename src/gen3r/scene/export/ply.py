"""points.ply: the filtered cloud, binary little-endian."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyElement

from gen3r.scene.export.source import ExportSource

_VERTEX = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z")),
        *((name, "u1") for name in ("red", "green", "blue")),
        ("confidence", "<f4"),
    ]
)


def write(source: ExportSource, folder: Path) -> None:
    """Write x y z (world, OpenCV axes, scene units), red green blue (sRGB), confidence."""
    cloud = source.cloud
    vertices = np.empty(len(cloud), dtype=_VERTEX)
    for column, axis in enumerate(("x", "y", "z")):
        vertices[axis] = cloud.points[:, column].numpy()
    for column, channel in enumerate(("red", "green", "blue")):
        vertices[channel] = cloud.colors[:, column].numpy()
    vertices["confidence"] = cloud.confidence.numpy()
    comments = ["Gen3R point cloud", "axes: OpenCV, x right, y down, z forward; scene units"]
    element = PlyElement.describe(vertices, "vertex")
    PlyData([element], text=False, byte_order="<", comments=comments).write(str(folder / "points.ply"))
