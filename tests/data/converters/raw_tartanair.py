"""Writes a TartanAir trajectory: poses with axes north, east, down and quaternions, z-depth in metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike
from PIL import Image
from scipy.spatial.transform import Rotation

from data.converters.fixture import DrawnScene, make_scene

SKY = 10000.0
WORLD = np.array([5000.0, -3000.0, 20.0])
"""Where the first camera is, in metres north, east and down."""
_TURN = Rotation.from_euler("zyx", [0.7, -0.2, 0.1])
"""How it looks, from body axes (ahead, right, down) to the world's."""
_BODY_FROM_DRAWN = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0.0]])
"""The drawn world has x to the right, y down and z ahead."""


def field_of_90_degrees(frames: int = 8, width: int = 64, height: int = 48) -> DrawnScene:
    """The dataset's intrinsics are constant: half the width, around the middle."""
    return make_scene(frames, width, height, focal=width / 2, center=(width / 2, height / 2))


def body_pose(scene: DrawnScene, frame: int) -> tuple[Rotation, np.ndarray]:
    """World-from-body of a frame: rotation and position."""
    pose = scene.world_from_camera[frame]
    turned = Rotation.from_matrix(_BODY_FROM_DRAWN @ pose[:3, :3] @ _BODY_FROM_DRAWN.T)
    return _TURN * turned, _TURN.apply(_BODY_FROM_DRAWN @ pose[:3, 3]) + WORLD


def write_trajectory(
    root: Path,
    scene: DrawnScene,
    *,
    place: str = "oldtown/Easy/P000",
    camera: str = "left",
    depth_type: DTypeLike = np.float32,
    inverted: bool = False,
    without_axes: bool = False,
) -> Path:
    """Pictures, depth and poses of one camera; returns the folder.

    Args:
        inverted: write body-from-world, which is wrong.
        without_axes: write the poses of the camera in OpenCV's axes, which is wrong.
    """
    folder = root / place
    for kind in ("image", "depth"):
        (folder / f"{kind}_{camera}").mkdir(parents=True, exist_ok=True)
    world_points = _TURN.apply(scene.points @ _BODY_FROM_DRAWN.T) + WORLD
    lines = []
    for frame in range(scene.frames):
        rotation, position = body_pose(scene, frame)
        ahead, right, down = rotation.inv().apply(world_points - position).T
        half = scene.width / 2
        pixels = np.stack([half * right / ahead + scene.width / 2, half * down / ahead + scene.height / 2], axis=1)
        depth = scene.draw_depth(pixels, ahead)
        stem = f"{frame:06d}_{camera}"
        Image.fromarray(scene.draw(frame, pixels)).save(folder / f"image_{camera}" / f"{stem}.png")
        np.save(folder / f"depth_{camera}" / f"{stem}_depth.npy", np.where(depth > 0, depth, SKY).astype(depth_type))
        if inverted:
            rotation, position = rotation.inv(), -rotation.inv().apply(position)
        if without_axes:
            rotation = rotation * Rotation.from_matrix(_BODY_FROM_DRAWN)
        lines.append(" ".join(f"{number:.9f}" for number in (*position, *rotation.as_quat())))
    (folder / f"pose_{camera}.txt").write_text("\n".join(lines) + "\n")
    return folder
