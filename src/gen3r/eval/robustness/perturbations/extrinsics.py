"""Noisy extrinsics: every frame's pose is off on its own, as poses of a poor reconstruction are.

The first frame of a clip is where its world begins, so it is left alone; of the others neither knows of its neighbours.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import exact_matmul, rigid, rotate
from gen3r.eval.robustness.perturbations.base import CameraPerturbation


def turn_cameras(cameras: Cameras, degrees: float, rng: torch.Generator) -> Cameras:
    """Turn every camera but the first about its own centre: random axis, angle of root mean square ``degrees``."""
    rotation = rotation_matrix(math.radians(degrees) * _isotropic(cameras, rng))
    turned = exact_matmul(rotation, cameras.extrinsics[..., :3, :3])
    return _after_first(cameras, rigid(turned, -rotate(turned, cameras.centers)))


def move_cameras(cameras: Cameras, percent: float, rng: torch.Generator) -> Cameras:
    """Move the centre of every camera but the first, in a random direction, not its orientation.

    The distance has the root mean square ``percent`` of the length of the clip's path: nothing moves on a path of none.
    """
    path = cameras.centers.diff(dim=-2).norm(dim=-1).sum(-1)
    centres = cameras.centers + percent / 100 * path * _isotropic(cameras, rng)
    rotation = cameras.extrinsics[..., :3, :3]
    return _after_first(cameras, rigid(rotation, -rotate(rotation, centres)))


def rotation_matrix(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation by the length of ``vector``, in radians, about its direction, as a matrix exponential."""
    zero = torch.zeros_like(vector[..., 0])
    x, y, z = vector.unbind(-1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(cross)


def _isotropic(cameras: Cameras, rng: torch.Generator) -> Float[Tensor, "F 3"]:
    """Normal vectors with a mean square length of one."""
    return torch.randn(len(cameras), 3, generator=rng, device=rng.device).to(cameras.extrinsics) / math.sqrt(3)


def _after_first(cameras: Cameras, extrinsics: Float[Tensor, "F 4 4"]) -> Cameras:
    """Other poses for all frames but the first."""
    return replace(cameras, extrinsics=torch.cat([cameras.extrinsics[:1], extrinsics[1:]]))


ROTATION = CameraPerturbation(title="noisy rotations", unit=" deg", strengths=(1.0, 3.0, 10.0), change=turn_cameras)
TRANSLATION = CameraPerturbation(
    title="noisy translations", unit=" % of the path", strengths=(2.0, 5.0, 20.0), change=move_cameras
)
