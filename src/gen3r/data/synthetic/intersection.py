"""Rays against primitives and surroundings, and distances to them: dense maths that compiles into few kernels."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3r.data.synthetic.packed import PackedScene

NEAR = 1e-3
"""Hits closer than this are the surface the ray starts from."""
FAR = 1e4
"""Distance of a miss."""
GROUND_REACH = 60.0
"""Metres after which the ground gives way to the horizon."""


def hit_primitives(
    scene: PackedScene, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"]
) -> Float[Tensor, "N R"]:
    """Ray parameter of the first hit of each primitive, `FAR` for a miss. Parameters are in lengths of `directions`."""
    parts = []
    start = 0
    for hit, count in zip(_HIT, scene.counts, strict=True):
        matrix = scene.local_from_world[start : start + count]
        offset = -torch.einsum("nij,nj->ni", matrix, scene.center[start : start + count])
        start += count
        flat = matrix.reshape(-1, 3)
        origin = torch.addmm(offset.reshape(-1, 1), flat, origins.T).view(count, 3, -1)
        direction = (flat @ directions.T).view(count, 3, -1)
        parts.append(hit(origin, direction))
    return torch.cat(parts)


def _hit_box(origin: Float[Tensor, "n 3 R"], direction: Float[Tensor, "n 3 R"]) -> Float[Tensor, "n R"]:
    inverse = 1 / direction
    middle, reach = origin * inverse, inverse.abs()
    enter, leave = (-middle - reach).amax(1), (-middle + reach).amin(1)
    return torch.where((enter < leave) & (enter > NEAR), enter, FAR)


def _hit_ellipsoid(origin: Float[Tensor, "n 3 R"], direction: Float[Tensor, "n 3 R"]) -> Float[Tensor, "n R"]:
    a, b, c = (direction**2).sum(1), (origin * direction).sum(1), (origin**2).sum(1) - 1
    inside = b * b - a * c
    t = (-b - inside.clamp_min(0).sqrt()) / a
    return torch.where((inside > 0) & (t > NEAR), t, FAR)


def _hit_cylinder(origin: Float[Tensor, "n 3 R"], direction: Float[Tensor, "n 3 R"]) -> Float[Tensor, "n R"]:
    (ox, oy, oz), (dx, dy, dz) = origin.unbind(1), direction.unbind(1)
    a, b, c = (dx * dx + dz * dz).clamp_min(1e-9), ox * dx + oz * dz, ox * ox + oz * oz - 1
    inside = b * b - a * c
    root = inside.clamp_min(0).sqrt()
    inverse = 1 / dy
    middle, reach = oy * inverse, inverse.abs()
    enter = torch.maximum((-b - root) / a, -middle - reach)
    leave = torch.minimum((-b + root) / a, -middle + reach)
    return torch.where((inside > 0) & (enter < leave) & (enter > NEAR), enter, FAR)


def _hit_cone(origin: Float[Tensor, "n 3 R"], direction: Float[Tensor, "n 3 R"]) -> Float[Tensor, "n R"]:
    """Radius (1 - y) / 2: the surface x^2 + z^2 = (1 - y)^2 / 4, and the disc at y = -1."""
    (ox, oy, oz), (dx, dy, dz) = origin.unbind(1), direction.unbind(1)
    w = 1 - oy
    a = dx * dx + dz * dz - 0.25 * dy * dy
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    b = ox * dx + oz * dz + 0.25 * w * dy
    c = ox * ox + oz * oz - 0.25 * w * w
    inside = b * b - a * c
    root = inside.clamp_min(0).sqrt()
    nearest = torch.full_like(a, FAR)
    for sign in (-1, 1):
        t = (-b + sign * root) / a
        within = (oy + t * dy).abs() < 1
        nearest = torch.where((inside > 0) & (t > NEAR) & within & (t < nearest), t, nearest)
    t = (-1 - oy) / dy
    x, z = ox + t * dx, oz + t * dz
    return torch.where((t > NEAR) & (x * x + z * z < 1) & (t < nearest), t, nearest)


_HIT = (_hit_box, _hit_ellipsoid, _hit_cylinder, _hit_cone)
"""In the order of `Shape`."""


def hit_surroundings(
    scene: PackedScene, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"]
) -> tuple[Float[Tensor, " R"], Int[Tensor, " R"]]:
    """Ray parameter and face (index into -x, +x, floor, ceiling, -z, +z) of the room or the ground."""
    if scene.is_room:
        high = scene.half_extent
        low = high * high.new_tensor([-1.0, 0.0, -1.0])
        inverse = 1 / directions
        t, axis = torch.maximum((low - origins) * inverse, (high - origins) * inverse).min(-1)
        positive = directions.gather(-1, axis[:, None])[:, 0] > 0
        return t, axis * 2 + positive.long()
    t = -origins[:, 1] / directions[:, 1]
    hit = (directions[:, 1] < -1e-5) & (t < GROUND_REACH)
    return torch.where(hit, t, FAR), torch.full_like(t, 2, dtype=torch.long)


def distance(scene: PackedScene, points: Float[Tensor, "R 3"]) -> Float[Tensor, " R"]:
    """Signed distance (approximate for ellipsoids and cones) to the nearest surface, metres."""
    parts = []
    start = 0
    for measure, count in zip(_DISTANCE, scene.counts, strict=True):
        part = slice(start, start + count)
        start += count
        turned = torch.matmul(points[None] - scene.center[part, None], scene.world_from_rotated[part])
        half = scene.half_size[part, None]
        parts.append(measure(turned, half).amin(0))
    nearest = torch.stack(parts).amin(0)
    if scene.is_room:
        half_x, height, half_z = scene.half_extent.unbind()
        x, y, z = points.unbind(-1)
        walls = torch.minimum(half_x - x.abs(), half_z - z.abs())
        return torch.minimum(nearest, torch.minimum(walls, torch.minimum(y, height - y)))
    return torch.minimum(nearest, points[:, 1])


def _distance_box(p: Float[Tensor, "n R 3"], half: Float[Tensor, "n 1 3"]) -> Float[Tensor, "n R"]:
    beyond = p.abs() - half
    return (beyond.clamp_min(0) ** 2).sum(-1).sqrt() + beyond.amax(-1).clamp_max(0)


def _distance_ellipsoid(p: Float[Tensor, "n R 3"], half: Float[Tensor, "n 1 3"]) -> Float[Tensor, "n R"]:
    return (((p / half) ** 2).sum(-1).sqrt() - 1) * half.amin(-1)


def _distance_cylinder(p: Float[Tensor, "n R 3"], half: Float[Tensor, "n 1 3"]) -> Float[Tensor, "n R"]:
    radius = ((p[..., ::2] / half[..., ::2]) ** 2).sum(-1).sqrt()
    return torch.maximum((radius - 1) * half[..., 0], p[..., 1].abs() - half[..., 1])


def _distance_cone(p: Float[Tensor, "n R 3"], half: Float[Tensor, "n 1 3"]) -> Float[Tensor, "n R"]:
    radius = ((p[..., ::2] / half[..., ::2]) ** 2).sum(-1).sqrt()
    slope = (radius - (1 - p[..., 1] / half[..., 1]) / 2) * half[..., 0] * 0.8
    return torch.maximum(slope, -p[..., 1] - half[..., 1])


_DISTANCE = (_distance_box, _distance_ellipsoid, _distance_cylinder, _distance_cone)
"""In the order of `Shape`."""
