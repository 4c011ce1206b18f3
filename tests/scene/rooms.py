"""An analytic scene: a room with a ball and a window, seen by a moving camera, depth exact."""

import math

import torch

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.rays import camera_rays
from gen3r.scene.scene import Scene

BALL = torch.tensor([0.3, 0.5, 3.2])
RADIUS = 0.7


def room_cameras(frames: int, height: int, width: int) -> Cameras:
    """World-to-camera path: sideways and forward, turning a little; frame 0 is the world."""
    poses = torch.eye(4).repeat(frames, 1, 1)
    for i, t in enumerate(torch.linspace(0, 1, frames).tolist()):
        yaw = -0.35 * t
        poses[i, 0, 0] = poses[i, 2, 2] = math.cos(yaw)
        poses[i, 0, 2], poses[i, 2, 0] = math.sin(yaw), -math.sin(yaw)
        poses[i, :3, 3] = torch.tensor([1.2 * t, -0.2 * t, 0.4 * t])
    intrinsics = torch.tensor([[0.8 * width, 0, 0.48 * width], [0, 0.8 * width, 0.52 * height], [0, 0, 1.0]])
    return Cameras.from_world_from_camera(poses, intrinsics, height, width)


def room_scene(frames: int = 5, height: int = 24, width: int = 32) -> Scene:
    """Walls at x = -2.5 and 2.5, z = 6, floor y = 1.2, ceiling y = -1.6; the far wall has an open window."""
    cameras = room_cameras(frames, height, width)
    origins, directions = camera_rays(cameras)
    candidates = [
        _plane(origins, directions, axis, offset)
        for axis, offset in ((0, -2.5), (0, 2.5), (1, 1.2), (1, -1.6), (2, 6.0))
    ]
    candidates.append(_ball(origins, directions))
    distance, surface = torch.stack(candidates).min(dim=0)
    points = origins + distance[..., None] * directions
    window = (surface == 4) & (points[..., 0].abs() < 1.0) & (points[..., 1] > -1.0) & (points[..., 1] < 0.2)
    depth = ((points - origins) @ torch.eye(3) * _forward(cameras)).sum(-1)
    mask = ~window & torch.isfinite(distance)
    rgb = _paint(points, surface)
    rgb[window] = torch.tensor([0.62, 0.80, 0.97])
    return Scene(
        rgb=(rgb * 255).round().byte(),
        depth=torch.where(mask, depth, 0.0),
        confidence=torch.where(mask, 1 + 0.5 * _forward(cameras)[..., 2].expand_as(depth), 0.0),
        points=torch.where(mask[..., None], points, 0.0),
        mask=mask,
        cameras=cameras,
        provenance={"model": "analytic", "settings": {"prompt": "a room with a ball", "seed": 0}},
    )


def _forward(cameras: Cameras) -> torch.Tensor:
    return cameras.world_from_camera[:, None, None, :3, 2]


def _plane(origins: torch.Tensor, directions: torch.Tensor, axis: int, offset: float) -> torch.Tensor:
    t = (offset - origins[..., axis]) / directions[..., axis]
    return torch.where(t > 1e-4, t, torch.inf)


def _ball(origins: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    to_center = BALL - origins
    along = (to_center * directions).sum(-1)
    missed = (to_center**2).sum(-1) - along**2
    return torch.where(missed < RADIUS**2, along - (RADIUS**2 - missed).clamp_min(0).sqrt(), torch.inf)


def _paint(points: torch.Tensor, surface: torch.Tensor) -> torch.Tensor:
    palette = torch.tensor(
        [
            [0.78, 0.45, 0.38],
            [0.42, 0.58, 0.52],
            [0.66, 0.52, 0.38],
            [0.93, 0.92, 0.88],
            [0.86, 0.80, 0.66],
            [0.2, 0.4, 0.75],
        ]
    )
    x, y, z = points.unbind(-1)
    u, v = torch.where(surface <= 1, z, x), torch.where((surface == 2) | (surface == 3), z, y)
    checks = ((u * 2).floor() + (v * 2).floor()) % 2
    light = (1.05 - 0.06 * z + 0.12 * (checks - 0.5)).clamp(0.3, 1.1)
    return (palette[surface] * light[..., None]).clamp(0, 1)
