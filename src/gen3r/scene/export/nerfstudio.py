"""nerfstudio/: a dataset folder for nerfstudio: transforms.json, pictures, depth and the sparse cloud."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from plyfile import PlyData, PlyElement

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import opengl_from_extrinsics
from gen3r.scene.export.frames_png import IMAGES_FOLDER, frame_name, write_frames
from gen3r.scene.export.source import ExportSource
from gen3r.scene.point_cloud import PointCloud
from gen3r.scene.scene import Scene

DEPTH_FOLDER = "depth"
CLOUD_FILE = "sparse_pc.ply"
DEPTH_UNIT = 0.001
"""Length of one step of the depth pictures in the unit of the poses: millimetres, if those are metres. It is what
nerfstudio's `depth_unit_scale_factor` is unless somebody says otherwise on its command line."""
DEPTH_UNIT_KEY = "depth_unit_scale_factor"
"""In the file it is for other readers, such as ours: nerfstudio does not look."""
UNITS_KEY = "units_per_scene_unit"
"""Our own key: what a scene unit is in the file, so that a scene comes back in its unit."""
LARGEST_DEPTH = 65535 * DEPTH_UNIT
SMALLEST_DEPTH = 1.0
"""A scene whose farthest surface is nearer than this would lose its depth to rounding."""

_VERTEX = np.dtype(
    [*((axis, "<f4") for axis in ("x", "y", "z")), *((channel, "u1") for channel in ("red", "green", "blue"))]
)


def write(source: ExportSource, folder: Path) -> None:
    """Write nerfstudio/transforms.json, images, depth and sparse_pc.ply.

    Poses are camera-to-world with OpenGL camera axes (x right, y up, z back) in the scene's own world (y down;
    nerfstudio turns it upright by the cameras). The cloud and the depth, 16 bit, are in the unit of the poses: the
    scene's, unless `world_scale` had to enlarge or shrink it all.
    """
    scene = source.scene
    target = folder / "nerfstudio"
    target.mkdir()
    scale = world_scale(scene)
    write_frames(scene, target)
    _write_depth(scene, scale, target / DEPTH_FOLDER)
    _write_cloud(source.cloud, scale, target / CLOUD_FILE)
    text = json.dumps(transforms(scene.cameras, scale), indent=2, allow_nan=False)
    (target / "transforms.json").write_text(text + "\n", encoding="utf-8")


def world_scale(scene: Scene) -> float:
    """Length of a scene unit in the files: 1 where `DEPTH_UNIT` suits the scene, else the power of two that does."""
    farthest = _farthest(scene)
    if farthest is None or SMALLEST_DEPTH <= farthest <= LARGEST_DEPTH:
        return 1.0
    return 2.0 ** math.floor(math.log2(LARGEST_DEPTH / farthest))


def _farthest(scene: Scene) -> float | None:
    valid = scene.depth[scene.mask]
    return float(valid.max()) if valid.numel() else None


def transforms(cameras: Cameras, scale: float = 1.0) -> dict[str, Any]:
    """The record of cameras [F] in a world enlarged by `scale`; float32 is written exactly."""
    cameras = cameras.to(dtype=torch.float64).scaled(scale)
    poses = opengl_from_extrinsics(cameras.extrinsics) + 0.0  # no -0.0
    frames = []
    for index, (pose, intrinsics) in enumerate(zip(poses.tolist(), cameras.intrinsics.tolist(), strict=True)):
        (focal_x, _, center_x), (_, focal_y, center_y), _ = intrinsics
        frames.append(
            {
                "file_path": f"{IMAGES_FOLDER}/{frame_name(index)}",
                "depth_file_path": f"{DEPTH_FOLDER}/{frame_name(index)}",
                "w": cameras.width,
                "h": cameras.height,
                "fl_x": focal_x,
                "fl_y": focal_y,
                "cx": center_x,
                "cy": center_y,
                "transform_matrix": pose,
            }
        )
    return {
        "camera_model": "PINHOLE",
        "camera_convention": "opengl",
        "ply_file_path": CLOUD_FILE,
        DEPTH_UNIT_KEY: DEPTH_UNIT,
        UNITS_KEY: scale,
        "frames": frames,
    }


def _write_depth(scene: Scene, scale: float, target: Path) -> None:
    """0 = no surface; depths that would round to 0 become 1."""
    target.mkdir()
    for index, (depth, mask) in enumerate(zip(scene.depth.double().numpy(), scene.mask.numpy(), strict=True)):
        steps = np.where(mask, np.nan_to_num(depth * (scale / DEPTH_UNIT)).round().clip(1, 65535), 0)
        Image.fromarray(steps.astype(np.uint16)).save(target / frame_name(index))


def _write_cloud(cloud: PointCloud, scale: float, path: Path) -> None:
    vertices = np.empty(len(cloud), dtype=_VERTEX)
    for column, axis in enumerate(("x", "y", "z")):
        vertices[axis] = (cloud.points[:, column] * scale).numpy()
    for column, channel in enumerate(("red", "green", "blue")):
        vertices[channel] = cloud.colors[:, column].numpy()
    element = PlyElement.describe(vertices, "vertex")
    PlyData([element], text=False, byte_order="<", comments=["axes and unit of transforms.json"]).write(str(path))
