"""Where to stand to look at a point cloud."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras, pinhole
from gen3r.cameras.projection import project


def outside_camera(
    points: Float[Tensor, "N 3"],
    cameras: Cameras,
    *,
    azimuth: float,
    elevation: float,
    height: int,
    width: int,
    fill: float = 0.94,
) -> Cameras:
    """A single camera outside the scene that has the cloud and the scene's cameras in view.

    It stands behind the cameras' mean position, turned around the middle of the cloud, and its
    intrinsics are fitted so that the picture is filled.

    Args:
        points: world points, at least one.
        cameras: the scene's cameras [F], which define "forward" and "up" by their mean.
        azimuth: degrees around the up axis, positive to the right.
        elevation: degrees above the viewing direction.
        fill: fraction of the picture that the content spans in its tighter direction.
    """
    sample = points[:: max(1, len(points) // 50_000)].double()
    centers = cameras.centers.double()
    focus = sample.median(dim=0).values
    spread = (sample - focus).norm(dim=-1).quantile(0.9)
    radius = float(torch.maximum(spread, (centers - focus).norm(dim=-1).max()).clamp_min(1e-6))
    axes = _mean_axes(cameras)
    right, down, forward = axes.unbind(-1)
    yaw, pitch = math.radians(azimuth), math.radians(elevation)
    away = math.cos(pitch) * (math.sin(yaw) * right - math.cos(yaw) * forward) - math.sin(pitch) * down
    view = -away
    view_right = torch.linalg.cross(down, view)
    view_right = view_right / view_right.norm()
    world_from_camera = torch.eye(4, dtype=torch.float64)
    world_from_camera[:3, :3] = torch.stack([view_right, torch.linalg.cross(view, view_right), view], dim=-1)
    world_from_camera[:3, 3] = focus + 2.4 * radius * away
    one = torch.ones((), dtype=torch.float64)
    unit = Cameras.from_world_from_camera(world_from_camera, pinhole(one, one, 0.0, 0.0), height, width)
    return _fitted(unit, sample, centers, fill).to(dtype=torch.float32)


def _mean_axes(cameras: Cameras) -> Float[Tensor, "3 3"]:
    """Right, down, forward (columns) of the rotation nearest to the mean of the cameras' rotations."""
    u, _, vh = torch.linalg.svd(cameras.world_from_camera[:, :3, :3].double().mean(dim=0))
    sign = torch.ones(3, dtype=torch.float64)
    sign[2] = torch.linalg.det(u @ vh).sign()
    return u @ torch.diag(sign) @ vh


def _fitted(unit: Cameras, sample: Tensor, centers: Tensor, fill: float) -> Cameras:
    """Choose focal length and principal point so that the bulk of the cloud and all centres are in the picture."""
    cloud, depth = project(sample, unit)
    cloud = cloud[depth > 0]
    low, high = torch.quantile(cloud, torch.tensor([0.01, 0.99], dtype=torch.float64), dim=0)
    eyes, depth = project(centers, unit)
    eyes = eyes[depth > 0]
    if len(eyes):
        low, high = torch.minimum(low, eyes.min(dim=0).values), torch.maximum(high, eyes.max(dim=0).values)
    size = torch.tensor([unit.width, unit.height], dtype=torch.float64)
    focal = (fill * size / (high - low).clamp_min(1e-9)).min()
    offset = size / 2 - focal * (low + high) / 2
    return Cameras(unit.extrinsics, pinhole(focal, focal, float(offset[0]), float(offset[1])), unit.height, unit.width)
