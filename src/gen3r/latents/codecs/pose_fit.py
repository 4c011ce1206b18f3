"""Poses of cameras from the points that their pixels see: perspective-n-point by robust Gauss-Newton.

Points are homogeneous, (c, rho) for c / rho, so that points at infinity count too: they fix the rotation. Frames follow
each other, so the pose of one is where the search for the next one begins.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import rigid
from gen3r.cameras.rays import pixel_directions

STEPS = 10
"""Gauss-Newton steps per frame."""
PIXELS = 2048
"""About as many pixels of a frame are looked at, evenly spread."""
_NEAREST = 1e-2
"""Points closer to the camera plane, in homogeneous units, or behind it do not count."""


@torch.no_grad()
def fit_poses(
    points: Float[Tensor, "B F H W 3"], rho: Float[Tensor, "B F H W"], intrinsics: Float[Tensor, "B 3 3"]
) -> Float[Tensor, "B F 4 4"]:
    """Camera-from-world extrinsics of every frame; the first one is the world.

    Minimises the distance, in the plane z = 1, of projected points to their pixels, with Cauchy weights whose scale is
    the median distance. Computed in float64 with autocast off. Always finite: a frame that tells nothing keeps the pose
    of the one before.
    """
    height, width = rho.shape[-2:]
    stride = max(1, round((height * width / PIXELS) ** 0.5))
    with torch.autocast(points.device.type, enabled=False):
        pose = torch.eye(4, dtype=torch.float64, device=points.device).repeat(len(points), 1, 1)
        lens = Cameras(pose, intrinsics.double(), height, width)
        pixels = pixel_directions(lens)[:, ::stride, ::stride, :2].flatten(1, 2)
        poses = [pose]
        for frame in range(1, points.shape[1]):
            seen = points[:, frame, ::stride, ::stride].flatten(1, 2).double().nan_to_num()
            scale = rho[:, frame, ::stride, ::stride].flatten(1, 2).double().nan_to_num()
            pose = _fit(pose, seen, scale, pixels)
            poses.append(pose)
    return torch.stack(poses, dim=1).to(points.dtype)


def _fit(
    pose: Float[Tensor, "B 4 4"],
    points: Float[Tensor, "B N 3"],
    rho: Float[Tensor, "B N"],
    pixels: Float[Tensor, "B N 2"],
) -> Float[Tensor, "B 4 4"]:
    for _ in range(STEPS):
        seen = points @ pose[:, :3, :3].mT + rho[..., None] * pose[:, None, :3, 3]
        z = seen[..., 2].clamp_min(_NEAREST)
        residual = seen[..., :2] / z[..., None] - pixels
        distance = residual.norm(dim=-1)
        usable = seen[..., 2] > _NEAREST
        spread = distance.masked_fill(~usable, float("nan")).nanmedian(dim=1, keepdim=True).values.nan_to_num(1.0)
        weight = usable / (1 + (distance / (1.5 * spread + 1e-6)).square())
        jacobian = _jacobian(seen, z, rho)
        weighted = (weight[..., None, None] * jacobian).flatten(1, 2).mT
        normal = weighted @ jacobian.flatten(1, 2)
        gradient = (weighted @ residual.flatten(1, 2)[..., None])[..., 0]
        damping = 1e-6 * normal.diagonal(dim1=-1, dim2=-2).sum(-1) + 1e-9
        identity = torch.eye(6, dtype=normal.dtype, device=normal.device)
        step = -torch.linalg.solve(normal + damping[:, None, None] * identity, gradient).clamp(-0.3, 0.3)
        pose = rigid(_rotation(step[:, :3]), step[:, 3:]) @ pose
    return pose


def _jacobian(seen: Tensor, z: Tensor, rho: Tensor) -> Float[Tensor, "B N 2 6"]:
    """Of the projection by a small turn and shift of the camera's axes: X -> X + w x X + rho v."""
    x, y = seen[..., 0] / z, seen[..., 1] / z
    inverse, zero = rho / z, torch.zeros_like(x)
    rows = [
        torch.stack([-x * y, 1 + x * x, -y, inverse, zero, -x * inverse], dim=-1),
        torch.stack([-1 - y * y, x * y, x, zero, inverse, -y * inverse], dim=-1),
    ]
    return torch.stack(rows, dim=-2)


def _rotation(turn: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3 3"]:
    """Rotation matrices of axis-angle vectors."""
    x, y, z = turn.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [torch.stack(row, dim=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return torch.linalg.matrix_exp(torch.stack(rows, dim=-2))
