"""Wrong intrinsics: a focal length that was guessed, a principal point that is not the centre."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from gen3r.cameras.cameras import Cameras
from gen3r.eval.robustness.perturbations.base import CameraPerturbation
from gen3r.train.rng import uniform


def change_focal(cameras: Cameras, percent: float, rng: torch.Generator) -> Cameras:
    """All focal lengths of a clip multiplied by ``1 + percent / 100``, or divided by it: a coin decides."""
    factor = 1 + percent / 100
    factor = factor if uniform(rng) < 0.5 else 1 / factor
    intrinsics = cameras.intrinsics.clone()
    intrinsics[..., 0, 0] *= factor
    intrinsics[..., 1, 1] *= factor
    return replace(cameras, intrinsics=intrinsics)


def move_principal_point(cameras: Cameras, percent: float, rng: torch.Generator) -> Cameras:
    """The principal points of a clip moved by ``percent`` of the image's larger side, in one random direction."""
    angle = uniform(rng, 0.0, 2 * math.pi)
    distance = percent / 100 * max(cameras.height, cameras.width)
    intrinsics = cameras.intrinsics.clone()
    intrinsics[..., 0, 2] += distance * math.cos(angle)
    intrinsics[..., 1, 2] += distance * math.sin(angle)
    return replace(cameras, intrinsics=intrinsics)


FOCAL = CameraPerturbation(title="wrong focal length", unit=" %", strengths=(5.0, 10.0, 20.0), change=change_focal)
PRINCIPAL_POINT = CameraPerturbation(
    title="wrong principal point", unit=" % of the image", strengths=(2.0, 5.0, 10.0), change=move_principal_point
)
