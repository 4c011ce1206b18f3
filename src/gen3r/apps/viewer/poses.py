"""Poses as viser has them (unit quaternion wxyz and position) and as matrices."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from viser.transforms import SO3


def quaternion(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, 4]:
    """Unit quaternion (w, x, y, z) of a rotation matrix."""
    return SO3.from_matrix(np.asarray(rotation, np.float64)).wxyz


def pose_matrix(wxyz: Float[np.ndarray, 4], position: Float[np.ndarray, 3]) -> Float[np.ndarray, "4 4"]:
    """Parent-from-node matrix, float64. The quaternion need not be normalised."""
    pose = np.eye(4)
    pose[:3, :3] = SO3(np.asarray(wxyz, np.float64)).normalize().as_matrix()
    pose[:3, 3] = position
    return pose
