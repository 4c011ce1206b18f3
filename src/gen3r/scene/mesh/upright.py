"""Which way is up, and the frame that robots and physics engines use."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from gen3r.cameras.cameras import Cameras
from gen3r.scene.mesh.mesh import Mesh, face_areas

_LEANING = np.cos(np.deg2rad(55))  # the floor is among surfaces within 55 degrees of the cameras' upward direction
_FLAT = np.cos(np.deg2rad(6))  # normals of one floor
_FLOOR = 0.1  # share of the surface that a floor has at least
_CANDIDATES = 512


def up_direction(mesh: Mesh, cameras: Cameras) -> Float64[np.ndarray, " 3"]:
    """Unit vector against gravity, in the scene's world.

    The normal that most of the roughly upward surface shares, if at least a tenth of the surface has it (within 6
    degrees): the floor, even if the cameras look down on it. Otherwise the mean upward direction of the cameras.
    """
    upward = -cameras.world_from_camera[:, :3, 1].double().mean(dim=0).numpy()
    length = float(np.linalg.norm(upward))
    upward = upward / length if length > 1e-6 else np.array([0.0, -1.0, 0.0])
    areas = face_areas(mesh.vertices, mesh.faces).double().numpy()
    size = np.linalg.norm(areas, axis=1)
    normals = areas / np.maximum(size, 1e-300)[:, None]
    leaning = normals @ upward > _LEANING
    floor, weight = normals[leaning], size[leaning]
    if weight.sum() < _FLOOR * size.sum():
        return upward
    chosen = np.argsort(-weight, kind="stable")[
        np.linspace(0, len(weight) - 1, min(_CANDIDATES, len(weight))).astype(int)
    ]
    support = np.array([weight[floor @ normal > _FLAT].sum() for normal in floor[chosen]])
    best = floor[chosen[support.argmax()]]
    for _ in range(5):
        near = floor @ best > _FLAT
        best = (weight[near, None] * floor[near]).sum(axis=0)
        best /= np.linalg.norm(best)
    return best if weight[floor @ best > _FLAT].sum() >= _FLOOR * size.sum() else upward


def upright_from_scene(mesh: Mesh, cameras: Cameras) -> Float64[np.ndarray, "3 3"]:
    """Rotation from the scene's world to x forward (as the first camera looks), y left, z up; the origin stays."""
    up = up_direction(mesh, cameras)
    pose = cameras.world_from_camera[0, :3, :3].double().numpy()
    forward = pose[:, 2] if abs(pose[:, 2] @ up) < 0.95 else -pose[:, 1]
    left = np.cross(up, forward)
    left /= np.linalg.norm(left)
    return np.stack([np.cross(left, up), left, up])
