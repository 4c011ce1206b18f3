"""scene.glb: the cloud, the cameras and their path as glTF 2.0 binary."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import trimesh
from jaxtyping import UInt8
from trimesh.exchange.gltf import export_glb
from trimesh.path import Path3D
from trimesh.path.entities import Line

from gen3r.cameras.cameras import Cameras
from gen3r.scene.colormap import viridis
from gen3r.scene.export.linear_color import linear_from_srgb
from gen3r.scene.export.source import ExportSource
from gen3r.scene.frusta import SEGMENTS, clipping_range, frustum_corners, frustum_depth

# OpenCV (y down, z forward) <-> OpenGL and glTF (y up, z backward); its own inverse.
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
ROOT = "scene"
_UNLIT = "KHR_materials_unlit"


def write(source: ExportSource, folder: Path) -> None:
    """Write points, one frustum and one glTF camera per frame, and the camera path.

    Data stay in the scene's OpenCV world; the root node turns them into glTF's y-up world by diag(1, -1, -1).
    glTF cameras know only a vertical field of view, so the exact intrinsics are in each camera's `extras`.
    """
    cloud, cameras = source.cloud, source.scene.cameras
    document = trimesh.Scene()
    document.graph.update(frame_to=ROOT, matrix=FLIP)
    if len(cloud):
        points = trimesh.PointCloud(cloud.points.numpy(), linear(cloud.colors.numpy()))
        document.add_geometry(points, node_name="points", geom_name="points", parent_node_name=ROOT)
    time_colors = linear(viridis(np.linspace(0, 1, len(cameras))))
    corners = frustum_corners(cameras, frustum_depth(source.scene)).double().numpy()
    starts = range(0, corners.shape[0] * corners.shape[1], corners.shape[1])
    segments = [Line([start + one, start + other]) for start in starts for one, other in SEGMENTS]
    frusta = Path3D(segments, corners.reshape(-1, 3), colors=time_colors.repeat(len(SEGMENTS), axis=0), process=False)
    document.add_geometry(frusta, node_name="frusta", geom_name="frusta", parent_node_name=ROOT)
    if len(cameras) > 1:
        steps = [Line([index, index + 1]) for index in range(len(cameras) - 1)]
        path = Path3D(steps, corners[:, 0], colors=time_colors[1:], process=False)
        document.add_geometry(path, node_name="path", geom_name="path", parent_node_name=ROOT)
    near, _ = clipping_range(source.scene)
    data = export_glb(document, tree_postprocessor=lambda tree: finish(tree, cameras, near))
    (folder / "scene.glb").write_bytes(cast(bytes, data))


def finish(tree: dict[str, Any], cameras: Cameras, near: float = 0.01) -> None:
    """What the library does not write: materials that need no light, and a camera for every frame.

    Args:
        near: distance of the near plane, scene units.
    """
    tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", ()), _UNLIT})
    for material in tree["materials"]:
        material["extensions"] = {_UNLIT: {}}
    root = next(node for node in tree["nodes"] if node.get("name") == ROOT)
    poses = cameras.world_from_camera.double().numpy() @ FLIP
    tree["cameras"] = [_camera(intrinsics, cameras, near) for intrinsics in cameras.intrinsics.double().numpy()]
    for index, pose in enumerate(poses):
        root["children"].append(len(tree["nodes"]))
        matrix = pose.T.flatten().tolist()  # column-major
        tree["nodes"].append({"name": f"camera{index:05d}", "camera": index, "matrix": matrix})


def _camera(intrinsics: np.ndarray, cameras: Cameras, near: float) -> dict[str, Any]:
    return {
        "type": "perspective",
        "perspective": {
            "yfov": 2 * math.atan(cameras.height / (2 * intrinsics[1, 1])),
            "aspectRatio": cameras.width * intrinsics[1, 1] / (cameras.height * intrinsics[0, 0]),
            "znear": near,
        },
        "extras": {"intrinsics": intrinsics.tolist(), "height": cameras.height, "width": cameras.width},
    }


def linear(colors: UInt8[np.ndarray, "N 3"]) -> UInt8[np.ndarray, "N 4"]:
    """sRGB bytes as linear RGBA bytes: the colours of glTF vertices are linear."""
    rgba = np.full((len(colors), 4), 255, dtype=np.uint8)
    rgba[:, :3] = (linear_from_srgb(colors) * 255).round()
    return rgba
