"""points.ply: the filtered cloud, binary little-endian."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gen3r.scene.export.source import ExportSource

_VERTEX = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z")),
        *((name, "u1") for name in ("red", "green", "blue")),
        ("confidence", "<f4"),
    ]
)
_PLY_NAMES = {"f4": "float", "u1": "uchar"}


def write(source: ExportSource, folder: Path) -> None:
    """Write x y z (world, OpenCV axes, scene units), red green blue (sRGB), confidence."""
    cloud = source.cloud
    vertices = np.empty(len(cloud), dtype=_VERTEX)
    for column, axis in enumerate(("x", "y", "z")):
        vertices[axis] = cloud.points[:, column].numpy()
    for column, channel in enumerate(("red", "green", "blue")):
        vertices[channel] = cloud.colors[:, column].numpy()
    vertices["confidence"] = cloud.confidence.numpy()
    properties = [f"property {_PLY_NAMES[_VERTEX[name].str[1:]]} {name}" for name in vertices.dtype.names or ()]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment Gen3R point cloud",
        "comment axes: OpenCV, x right, y down, z forward; scene units",
        f"element vertex {len(vertices)}",
        *properties,
        "end_header",
    ]
    with (folder / "points.ply").open("wb") as file:
        file.write(("\n".join(header) + "\n").encode("ascii"))
        file.write(vertices.tobytes())
