"""scene.glb: the cloud, the cameras and their path as glTF 2.0 binary."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from gen3r.cameras.cameras import Cameras
from gen3r.scene.colormap import viridis
from gen3r.scene.export.source import ExportSource
from gen3r.scene.frusta import SEGMENTS, frustum_corners, frustum_depth

_FLOAT, _USHORT = 5126, 5123
_POINTS, _LINES, _LINE_STRIP = 0, 1, 3
_ARRAY_BUFFER = 34962

# OpenCV (y down, z forward) <-> OpenGL and glTF (y up, z backward); its own inverse.
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def write(source: ExportSource, folder: Path) -> None:
    """Write points, one frustum and one glTF camera per frame, and the camera path.

    Data stay in the scene's OpenCV world; the root node turns them into glTF's y-up world by diag(1, -1, -1).
    glTF cameras know only a vertical field of view, so the exact intrinsics are in each camera's `extras`.
    """
    document = _Document()
    root = document.add_node(None, name="scene", matrix=_column_major(_FLIP))
    cloud, cameras = source.cloud, source.scene.cameras
    if len(cloud):
        points = document.add_mesh("points", _POINTS, cloud.points.numpy(), cloud.colors.numpy())
        document.add_node(root, name="points", mesh=points)
    time_colors = viridis(np.linspace(0, 1, len(cameras)))
    corners = frustum_corners(cameras, frustum_depth(source.scene)).numpy()
    lines = corners[:, SEGMENTS].reshape(-1, 3)
    frusta = document.add_mesh("frusta", _LINES, lines, time_colors.repeat(2 * len(SEGMENTS), axis=0))
    document.add_node(root, name="frusta", mesh=frusta)
    if len(cameras) > 1:
        path = document.add_mesh("path", _LINE_STRIP, np.ascontiguousarray(corners[:, 0]), time_colors)
        document.add_node(root, name="path", mesh=path)
    _add_cameras(document, root, cameras)
    document.write(folder / "scene.glb")


def _add_cameras(document: _Document, root: int, cameras: Cameras) -> None:
    poses = cameras.world_from_camera.double().numpy() @ _FLIP
    for index, (pose, intrinsics) in enumerate(zip(poses, cameras.intrinsics.double().numpy(), strict=True)):
        camera = document.add(
            "cameras",
            type="perspective",
            perspective={
                "yfov": 2 * math.atan(cameras.height / (2 * intrinsics[1, 1])),
                "aspectRatio": cameras.width * intrinsics[1, 1] / (cameras.height * intrinsics[0, 0]),
                "znear": 0.01,
            },
            extras={"intrinsics": intrinsics.tolist(), "height": cameras.height, "width": cameras.width},
        )
        document.add_node(root, name=f"camera{index:05d}", camera=camera, matrix=_column_major(pose))


class _Document:
    """A glTF document under construction: JSON lists and one binary buffer."""

    def __init__(self) -> None:
        self._json: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "Gen3R"},
            "extensionsUsed": ["KHR_materials_unlit"],
            "materials": [{"name": "vertex colours", "extensions": {"KHR_materials_unlit": {}}}],
            "scene": 0,
            "scenes": [{"nodes": []}],
        }
        self._buffer = bytearray()

    def add(self, section: str, **item: Any) -> int:
        """Append to a top-level list; the index is what other parts refer to."""
        items = self._json.setdefault(section, [])
        items.append(item)
        return len(items) - 1

    def add_node(self, parent: int | None, **node: Any) -> int:
        index = self.add("nodes", **node)
        owner = self._json["scenes"][0]["nodes"] if parent is None else self._children(parent)
        owner.append(index)
        return index

    def add_mesh(
        self, name: str, mode: int, positions: Float32[np.ndarray, "N 3"], colors: UInt8[np.ndarray, "N 3"]
    ) -> int:
        limits = {"min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist()}
        attributes = {
            "POSITION": self._accessor(positions.astype("<f4"), _FLOAT, "VEC3", **limits),
            "COLOR_0": self._accessor(_linear_rgba(colors), _USHORT, "VEC4", normalized=True),
        }
        return self.add("meshes", name=name, primitives=[{"attributes": attributes, "mode": mode, "material": 0}])

    def write(self, path: Path) -> None:
        """GLB: 12-byte header, JSON chunk padded with spaces, binary chunk; all little-endian, 4-byte aligned."""
        document = self._json | {"buffers": [{"byteLength": len(self._buffer)}]}
        text = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(self._buffer)
        with path.open("wb") as file:
            file.write(struct.pack("<4sII", b"glTF", 2, total))
            file.write(struct.pack("<I4s", len(text), b"JSON") + text)
            file.write(struct.pack("<I4s", len(self._buffer), b"BIN\0"))
            file.write(self._buffer)

    def _children(self, node: int) -> list[int]:
        return self._json["nodes"][node].setdefault("children", [])

    def _accessor(self, array: np.ndarray, component: int, kind: str, **more: Any) -> int:
        data = array.tobytes()
        view = self.add(
            "bufferViews", buffer=0, byteOffset=len(self._buffer), byteLength=len(data), target=_ARRAY_BUFFER
        )
        self._buffer += data  # rows are 12 or 8 bytes long, so every view starts on a multiple of 4
        return self.add("accessors", bufferView=view, componentType=component, count=len(array), type=kind, **more)


def _linear_rgba(colors: UInt8[np.ndarray, "N 3"]) -> np.ndarray:
    """sRGB bytes as linear 16-bit RGBA: glTF vertex colours are linear, and 8 bits would band in the dark."""
    encoded = colors.astype(np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    rgba = np.full((len(colors), 4), 65535, dtype="<u2")
    rgba[:, :3] = (linear * 65535).round()
    return rgba


def _column_major(matrix: np.ndarray) -> list[float]:
    return matrix.T.flatten().tolist()
