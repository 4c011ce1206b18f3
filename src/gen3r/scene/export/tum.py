"""trajectory.txt: where the camera was at which time, as TUM RGB-D trajectories have it."""

from __future__ import annotations

from pathlib import Path

import torch

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.pose_encoding import quaternion_from_rotation
from gen3r.scene.export.source import ExportSource
from gen3r.scene.export.video import FRAMES_PER_SECOND

INTRINSICS_COMMENT = "# gen3r intrinsics (width height fx fy cx cy):"
"""Starts a comment line with the intrinsics of all following poses, which the format itself does not know."""


def write(source: ExportSource, folder: Path) -> None:
    """Write one line per frame: timestamp tx ty tz qx qy qz qw.

    Camera-to-world, OpenCV camera axes, scene units; seconds at the rate of rgb.mp4.
    """
    lines = trajectory_lines(source.scene.cameras)
    (folder / "trajectory.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def trajectory_lines(cameras: Cameras, rate: float = FRAMES_PER_SECOND) -> list[str]:
    """The lines of a trajectory of cameras [F], intrinsics as comments wherever they change."""
    cameras = cameras.to(dtype=torch.float64)
    poses = cameras.world_from_camera
    quaternions = quaternion_from_rotation(poses[:, :3, :3])
    quaternions = quaternions / quaternions.norm(dim=-1, keepdim=True)
    lines = ["# timestamp tx ty tz qx qy qz qw"]
    told = None
    rows = zip(cameras.intrinsics.tolist(), poses[:, :3, 3].tolist(), quaternions.tolist(), strict=True)
    for frame, (intrinsics, position, quaternion) in enumerate(rows):
        (focal_x, _, center_x), (_, focal_y, center_y), _ = intrinsics
        pinhole = (cameras.width, cameras.height, focal_x, focal_y, center_x, center_y)
        if pinhole != told:
            lines.append(f"{INTRINSICS_COMMENT} {_row(pinhole)}")
            told = pinhole
        lines.append(_row((frame / rate, *position, *quaternion)))
    return lines


def _row(numbers: tuple[int | float, ...]) -> str:
    """The shortest decimals that read back as the same numbers."""
    return " ".join(repr(number + 0.0) for number in numbers)  # + 0.0 takes the sign from -0.0
