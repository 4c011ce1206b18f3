"""Where a clip is filmed from: smooth paths through free space that keep things in view."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.data.synthetic.description import Description
from gen3r.data.synthetic.intersection import FAR, distances_along
from gen3r.data.synthetic.packed import PackedScene
from gen3r.data.synthetic.surface import ray_depth

CLEARANCE = 0.3
"""Metres between the camera and anything solid."""
LOWEST = 0.35
"""Lowest camera height in metres."""
TRIES = 60
PATIENCE = 8
"""Acceptable paths to compare before the best is taken, unless one sees most things."""
PROBES = 7
"""Rays along each image side that look for near surfaces."""
NEARLY_STATIC = 0.08
"""Share of clips that hardly move."""


@dataclass(frozen=True, kw_only=True)
class FilmedPath:
    """Poses and lens of one clip."""

    world_from_camera: Float[Tensor, "F 4 4"]
    fov: float
    """Full field of view along the shorter image side, radians."""
    motion: str
    """What the camera does, as a verb phrase."""


def film(scene: Description, packed: PackedScene, frames: int, seed: int) -> FilmedPath:
    """A path for a scene, chosen by a seed.

    The path is a function of time in 0..1, so that more frames sample the same movement more finely.
    """
    chance = random.Random(seed * 7919 + 13)
    best: tuple[int, FilmedPath] | None = None
    while best is None:
        for attempt in range(TRIES):
            path = _propose(scene, chance, frames)
            if path is None or not _is_clear(packed, path):
                continue
            seen = _things_in_view(scene, path)
            if best is None or seen > best[0]:
                best = seen, path
            if attempt > PATIENCE and seen >= 0.6 * len(scene.footprints):
                break
    return best[1]


def _propose(scene: Description, chance: random.Random, frames: int) -> FilmedPath | None:
    motion = chance.choice(["orbit", "orbit", "dolly", "truck", "pan", "spline", "rise"])
    sign = chance.choice([-1, 1])
    static = chance.random() < NEARLY_STATIC
    amount = (chance.uniform(0.02, 0.1) if static else chance.uniform(0.5, 1.0)) * sign
    eye, target = _view_point(scene, chance)
    sight = target - eye
    reach = float(sight.norm())
    fov = math.radians(chance.uniform(52, 75) if scene.is_room else chance.uniform(46, 64))
    if reach < (2.3 if scene.is_room else 3.0):
        return None
    t = torch.linspace(0, 1, frames)[:, None]
    forward = sight / reach
    right = torch.linalg.cross(forward, torch.tensor([0.0, 1.0, 0.0]))
    right = right / right.norm()
    eyes, targets = eye.expand(frames, 3), target.expand(frames, 3)
    if motion == "orbit":
        angle = t * amount * 0.55
        around, height = eye - target, torch.full_like(t, float(eye[1] - target[1]))
        cosine, sine = angle.cos(), angle.sin()
        eyes = target + torch.cat(
            (cosine * around[0] + sine * around[2], height, cosine * around[2] - sine * around[0]), dim=1
        )
        words = "orbits right" if sign > 0 else "orbits left"
    elif motion == "dolly":
        eyes = eye + forward * t * amount * reach * 0.32
        words = "moves forward" if sign > 0 else "moves backward"
    elif motion == "truck":
        shift = right * t * amount * reach * 0.3
        eyes, targets = eye + shift, target + shift
        words = "slides right" if sign > 0 else "slides left"
    elif motion == "rise":
        eyes = eye + torch.tensor([0.0, 1.0, 0.0]) * t * amount * (0.7 if scene.is_room else 1.4)
        words = "rises" if sign > 0 else "descends"
    elif motion == "pan":
        targets = target + right * t * amount * reach * 0.7
        words = "pans right" if sign > 0 else "pans left"
    else:
        keys = torch.tensor([[chance.gauss(0, 1) for _ in range(3)] for _ in range(4)]) * reach * 0.2 * abs(amount)
        keys = keys * torch.tensor([1.0, 0.5, 1.0])
        keys[0] = 0
        bernstein = torch.cat(((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3), dim=1)
        eyes = eye + bernstein @ keys
        targets = target + bernstein @ (keys.flip(0) - keys[-1]) * 0.3
        words = "drifts along a curve"
    if static:
        words = "hardly moves"
    if float(eyes[:, 1].min()) < LOWEST:
        return None
    return FilmedPath(world_from_camera=looking(eyes, targets), fov=fov, motion=words)


def _view_point(scene: Description, chance: random.Random) -> tuple[Tensor, Tensor]:
    """An eye, and something to look at between one thing and the middle of all things."""
    spots = scene.footprints or [(0.0, 0.0, 0.5)]
    x, z, _ = chance.choice(spots)
    middle_x = sum(spot[0] for spot in spots) / len(spots)
    middle_z = sum(spot[1] for spot in spots) / len(spots)
    height = chance.uniform(0.4, 0.8) if scene.is_room else chance.uniform(0.6, 1.1)
    target = torch.tensor([(x + middle_x) / 2, height, (z + middle_z) / 2])
    if scene.is_room:
        half_x, _, half_z = scene.half_extent
        eye = [
            chance.uniform(-1, 1) * (half_x - 0.45),
            chance.uniform(0.9, 1.75),
            chance.uniform(-1, 1) * (half_z - 0.45),
        ]
    else:
        angle, away = chance.uniform(0, 2 * math.pi), chance.uniform(4.2, 6.5)
        eye = [away * math.cos(angle), chance.uniform(0.9, 2.6), away * math.sin(angle)]
    return torch.tensor(eye), target


def looking(eyes: Float[Tensor, "F 3"], targets: Float[Tensor, "F 3"]) -> Float[Tensor, "F 4 4"]:
    """World-from-camera poses (OpenCV axes) in a world with y up: z towards the target, x level."""
    forward = torch.nn.functional.normalize(targets - eyes, dim=-1)
    up = torch.tensor([0.0, 1.0, 0.0]).expand_as(forward)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    poses = torch.eye(4).repeat(len(eyes), 1, 1)
    poses[:, :3, 0], poses[:, :3, 1], poses[:, :3, 2] = right, torch.linalg.cross(forward, right), forward
    poses[:, :3, 3] = eyes
    return poses


def _is_clear(packed: PackedScene, path: FilmedPath) -> bool:
    """Nothing touches the camera, and no near surface fills the picture."""
    poses = path.world_from_camera
    eyes = poses[:, :3, 3].T
    if float(distances_along(packed, eyes, torch.zeros_like(eyes), (0.0,))[0].min()) < CLEARANCE:
        return False
    side = torch.linspace(-0.9, 0.9, PROBES) * math.tan(path.fov / 2)
    y, x = torch.meshgrid(side, side, indexing="ij")
    rays = torch.stack((x, y, torch.ones_like(x))).reshape(3, -1)
    looks = [poses[index] for index in (0, len(poses) // 2, len(poses) - 1)]
    directions = torch.cat([pose[:3, :3] @ rays for pose in looks], dim=1)
    origins = torch.cat([pose[:3, 3:].expand_as(rays) for pose in looks], dim=1)
    depth = ray_depth(packed, origins, directions).view(len(looks), -1)
    depth = torch.where(depth > 0, depth, FAR)
    typical = depth.quantile(0.3, dim=1)
    return float(depth.min()) > 0.45 and float(typical.min()) > (1.3 if packed.is_room else 1.8)


def _things_in_view(scene: Description, path: FilmedPath) -> int:
    """How many objects the middle frame shows."""
    pose = path.world_from_camera[len(path.world_from_camera) // 2]
    spots = torch.tensor([(x, 0.5, z) for x, z, _ in scene.footprints] or [(0.0, -1e6, 0.0)])
    local = (spots - pose[:3, 3]) @ pose[:3, :3]
    ahead = local[:, 2] > 0.5
    inside = (local[:, 0] / local[:, 2].clamp_min(0.5)).abs() < math.tan(path.fov / 2)
    return int((ahead & inside).sum())
