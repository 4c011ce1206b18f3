"""The calibration folder of KITTI-360: two rectified cameras and two fisheyes on one car."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float64

from gen3r.data.converters.kitti360_lenses import MeiLens
from gen3r.data.converters.side_files import as_pose, is_rigid, read_text
from gen3r.data.converting.raw import Lens, UnusableScene

PERSPECTIVE, FISHEYES = ("00", "01"), ("02", "03")
CAMERAS = (*PERSPECTIVE, *FISHEYES)
_HALF = 0.5
"""From pixels counted from the centre of the first one to ours, counted from its corner."""


@dataclass(frozen=True, kw_only=True)
class Rig:
    """One camera on the car."""

    intrinsics: Float64[np.ndarray, "3 3"]
    """Pixels, corner origin; for fisheyes gamma and the centre."""
    imu_from_camera: Float64[np.ndarray, "4 4"]
    """The (rectified) camera's pose in the axes of the IMU."""
    height: int
    """Rows of its pictures."""
    width: int
    """Columns of its pictures."""
    lens: Lens | None
    """How it distorts; None where it is rectified."""


def read_rig(folder: Path) -> Mapping[str, Rig]:
    """The cameras that are calibrated, by number: "00".

    Raises:
        UnusableScene: if calib_cam_to_pose.txt or a camera's calibration is missing or damaged; only the fisheyes'
            image_02.yaml and image_03.yaml may be left out.
    """
    poses = _entries(folder / "calib_cam_to_pose.txt")
    rectified = _entries(folder / "perspective.txt")
    rig = {}
    try:
        for camera in PERSPECTIVE:
            rig[camera] = _perspective(rectified, camera, as_pose(poses[f"image_{camera}"]))
        for camera in FISHEYES:
            path = folder / f"image_{camera}.yaml"
            if path.is_file():
                rig[camera] = _fisheye(_opencv_yaml(path), as_pose(poses[f"image_{camera}"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableScene(f"the calibration of camera {camera} is incomplete ({error}).") from error
    bent = [camera for camera, device in rig.items() if not is_rigid(device.imu_from_camera)]
    if bent:
        raise UnusableScene(f"the poses of cameras {', '.join(bent)} are no rotations and translations.")
    return rig


def _entries(path: Path) -> dict[str, Float64[np.ndarray, " N"]]:
    """Lines of the form ``name: numbers``."""
    entries = {}
    for line in read_text(path).splitlines():
        name, _, rest = line.partition(":")
        try:
            entries[name.strip()] = np.array([float(word) for word in rest.split()])
        except ValueError:
            continue  # a date or other words; a missing number shows where it is used
    return entries


def _perspective(entries: Mapping[str, Any], camera: str, imu_from_camera: Float64[np.ndarray, "4 4"]) -> Rig:
    intrinsics = entries[f"P_rect_{camera}"].reshape(3, 4)[:, :3].copy()
    intrinsics[:2, 2] += _HALF
    rectified_from_camera = np.eye(4)
    rectified_from_camera[:3, :3] = entries[f"R_rect_{camera}"].reshape(3, 3)
    width, height = entries[f"S_rect_{camera}"]
    return Rig(
        intrinsics=intrinsics,
        imu_from_camera=imu_from_camera @ np.linalg.inv(rectified_from_camera),
        height=int(height),
        width=int(width),
        lens=None,
    )


def _fisheye(content: Any, imu_from_camera: Float64[np.ndarray, "4 4"]) -> Rig:
    numbers, bends = content["projection_parameters"], content["distortion_parameters"]
    intrinsics = np.array(
        [
            [float(numbers["gamma1"]), 0.0, float(numbers["u0"]) + _HALF],
            [0.0, float(numbers["gamma2"]), float(numbers["v0"]) + _HALF],
            [0.0, 0.0, 1.0],
        ]
    )
    lens = MeiLens(
        xi=float(content["mirror_parameters"]["xi"]), **{name: float(bends[name]) for name in ("k1", "k2", "p1", "p2")}
    )
    return Rig(
        intrinsics=intrinsics,
        imu_from_camera=imu_from_camera,
        height=int(content["image_height"]),
        width=int(content["image_width"]),
        lens=lens,
    )


def _opencv_yaml(path: Path) -> Any:
    """OpenCV writes ``%YAML:1.0`` and leaves out spaces after colons: neither is YAML."""
    text = "\n".join(line for line in read_text(path).splitlines() if not line.startswith(("%", "---")))
    try:
        return yaml.safe_load(re.sub(r":(?=[^\s])", ": ", text))
    except yaml.YAMLError as error:
        raise UnusableScene(f"{path.name} is no YAML: {error}.") from error
