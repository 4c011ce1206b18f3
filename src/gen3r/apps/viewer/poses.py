"""Poses as viser has them (unit quaternion wxyz and position) and as matrices."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation


def quaternion(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, 4]:
    """Unit quaternion (w, x, y, z) of a rotation matrix."""
    return np.roll(Rotation.from_matrix(rotation).as_quat(), 1)


def pose_matrix(wxyz: Float[np.ndarray, 4], position: Float[np.ndarray, 3]) -> Float[np.ndarray, "4 4"]:
    """Parent-from-node matrix, float64. The quaternion need not be normalised."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(np.roll(np.asarray(wxyz, np.float64), -1)).as_matrix()
    pose[:3, 3] = position
    return pose
