"""Writes a KITTI-360 tree by the formulas of its documentation and of kitti360Scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene

BASELINE = 0.594
FISHEYE = {"xi": 2.2134, "k1": 0.0168, "k2": 1.658}
SIDE, GAMMA, MIDDLE = 210, 200.0, 103.9
"""Of the fisheye pictures; the middle counts from the centre of the first pixel."""


def turn(axis: int, degrees: float) -> np.ndarray:
    """A rotation about one axis [4,4]."""
    first, second = (i for i in range(3) if i != axis)
    matrix = np.eye(4)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def shift(x: float, y: float, z: float) -> np.ndarray:
    """A translation [4,4]."""
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


WORLD = shift(1234.5, 3890.25, 112.0) @ turn(2, 33)
"""From the world of the drawn scene, which begins in the first camera, to one far away."""
RECTIFY = {"00": turn(0, 0.8) @ turn(1, -0.5), "01": turn(1, 0.9), "02": np.eye(4), "03": np.eye(4)}
CAMERA0_TO_IMU = shift(1.57, 0.43, 0.94) @ turn(1, 88) @ turn(2, -91)
RECTIFIED_TO_IMU = CAMERA0_TO_IMU @ np.linalg.inv(RECTIFY["00"])
CAMERA_TO_IMU = {
    "00": CAMERA0_TO_IMU,
    "01": RECTIFIED_TO_IMU @ shift(BASELINE, 0, 0) @ RECTIFY["01"],
    "02": RECTIFIED_TO_IMU @ shift(-0.3, 0.1, 0.05) @ turn(1, 12),
    "03": RECTIFIED_TO_IMU @ shift(0.4, 0.1, 0) @ turn(2, 7),
}
"""What calib_cam_to_pose.txt says: of the cameras before rectification."""


def drive_name(number: int) -> str:
    """Of the folders of one drive."""
    return f"2013_05_28_drive_{number:04d}_sync"


def seen_by(camera: str, scene: DrawnScene) -> DrawnScene:
    """The scene with the poses of another camera; the rectified camera 00 moves as the scene's does."""
    aside = np.linalg.inv(RECTIFIED_TO_IMU) @ CAMERA_TO_IMU[camera] @ np.linalg.inv(RECTIFY[camera])
    return replace(scene, world_from_camera=scene.world_from_camera @ aside)


def write_calibration(root: Path, scene: DrawnScene, *, fisheyes: bool = False) -> None:
    """The calibration folder."""
    folder = root / "calibration"
    folder.mkdir(parents=True)
    lines = ["calib_time: 09-Jan-2012 14:00:15", "corner_dist: 9.950000e-02"]
    for camera in ("00", "01"):
        numbers = {
            "S_rect": np.array([scene.width, scene.height]),
            "R_rect": RECTIFY[camera][:3, :3],
            "P_rect": projection(scene, camera),
        }
        lines += [f"{name}_{camera}: {_row(matrix)}" for name, matrix in numbers.items()]
    (folder / "perspective.txt").write_text("\n".join(lines) + "\n")
    rows = [f"image_{camera}: {_row(matrix[:3])}" for camera, matrix in CAMERA_TO_IMU.items()]
    (folder / "calib_cam_to_pose.txt").write_text("\n".join(rows) + "\n")
    for camera in ("02", "03") if fisheyes else ():
        (folder / f"image_{camera}.yaml").write_text(_yaml(camera))


def projection(scene: DrawnScene, camera: str) -> np.ndarray:
    """P_rect [3,4]: from the rectified axes of camera 00 to pixels, from the centre of the first one."""
    focal = scene.intrinsics[0, 0]
    matrix = np.zeros((3, 4))
    matrix[:, :3] = scene.intrinsics
    matrix[:2, 2] -= 0.5
    matrix[0, 3] = -focal * BASELINE if camera == "01" else 0
    return matrix


def write_drive(
    root: Path,
    scene: DrawnScene,
    *,
    number: int = 0,
    cameras: Sequence[str] = ("00", "01"),
    posed: Sequence[int] | None = None,
    by_camera: bool = False,
    inverted: bool = False,
) -> None:
    """Pictures, times and poses of one drive.

    Args:
        posed: frames that have a pose; all by default.
        by_camera: write cam0_to_world.txt instead of poses.txt.
        inverted: write world-to-IMU poses, which is wrong.
    """
    drive = drive_name(number)
    rows = []
    for frame in range(scene.frames):
        rectified0_to_world = WORLD @ scene.world_from_camera[frame]
        imu_to_world = rectified0_to_world @ np.linalg.inv(RECTIFIED_TO_IMU)
        if posed is None or frame in posed:
            matrix = np.linalg.inv(imu_to_world) if inverted else imu_to_world
            rows.append(f"{frame} {_row(rectified0_to_world if by_camera else matrix[:3])}")
        for camera in cameras:
            kind = "data_rect" if camera in ("00", "01") else "data_rgb"
            folder = root / "data_2d_raw" / drive / f"image_{camera}" / kind
            folder.mkdir(parents=True, exist_ok=True)
            picture = _fisheye(scene, frame, camera) if kind == "data_rgb" else _rectified(scene, frame, camera)
            Image.fromarray(picture).save(folder / f"{frame:010d}.png")
    for camera in cameras:
        times = [f"2013-05-28 08:46:{2 + 0.1 * frame:012.9f}" for frame in range(scene.frames)]
        folder = root / "data_2d_raw" / drive / f"image_{camera}"
        (folder / "timestamps.txt").write_text("\n".join(times) + "\n")
    folder = root / "data_poses" / drive
    folder.mkdir(parents=True)
    (folder / ("cam0_to_world.txt" if by_camera else "poses.txt")).write_text("\n".join(rows) + "\n")


def _rectified(scene: DrawnScene, frame: int, camera: str) -> np.ndarray:
    in_camera0 = np.linalg.inv(scene.world_from_camera[frame]) @ np.c_[scene.points, np.ones(len(scene.points))].T
    u, v, w = projection(scene, camera) @ in_camera0
    return scene.draw(frame, np.stack([u / w, v / w], axis=1) + 0.5)


def _fisheye(scene: DrawnScene, frame: int, camera: str) -> np.ndarray:
    imu_to_drawn = scene.world_from_camera[frame] @ np.linalg.inv(RECTIFIED_TO_IMU)
    local = np.linalg.inv(imu_to_drawn @ CAMERA_TO_IMU[camera]) @ np.c_[scene.points, np.ones(len(scene.points))].T
    x, y, z = local[:3] / np.linalg.norm(local[:3], axis=0)
    x, y = x / (z + FISHEYE["xi"]), y / (z + FISHEYE["xi"])
    square = x * x + y * y
    bend = 1 + FISHEYE["k1"] * square + FISHEYE["k2"] * square * square
    pixels = np.stack([GAMMA * bend * x + MIDDLE, GAMMA * bend * y + MIDDLE], axis=1)
    return scene.draw(frame, pixels + 0.5, (SIDE, SIDE))


def _yaml(camera: str) -> str:
    """As OpenCV writes it: a first line that is no YAML, and no space behind some colons."""
    return (
        f"%YAML:1.0\n---\nmodel_type: MEI\ncamera_name: image_{camera}\nimage_width: {SIDE}\nimage_height: {SIDE}\n"
        f"mirror_parameters:\n   xi:{FISHEYE['xi']}\n"
        f"distortion_parameters:\n   k1: {FISHEYE['k1']}\n   k2: {FISHEYE['k2']}\n   p1: 0.\n   p2: 0.\n"
        f"projection_parameters:\n   gamma1:{GAMMA}\n   gamma2: {GAMMA}\n   u0: {MIDDLE}\n   v0: {MIDDLE}\n"
    )


def _row(matrix: np.ndarray) -> str:
    return " ".join(repr(float(number)) for number in matrix.reshape(-1))
