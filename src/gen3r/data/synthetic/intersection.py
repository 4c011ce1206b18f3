"""Rays against solids and surroundings, and distances to them.

Points and directions are ``[3, R]``: each coordinate is one contiguous row, and every formula below is elementwise
over solids x rays followed by a minimum over the solids, so that torch.compile turns a query into one loop without
temporaries.
"""

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
_TINY = 1e-9
Coordinates = tuple[Float[Tensor, "n R"], Float[Tensor, "n R"], Float[Tensor, "n R"]]
"""Of R rays in the axes of n solids."""
Sizes = tuple[Float[Tensor, "n 1"], Float[Tensor, "n 1"], Float[Tensor, "n 1"]]
"""Half sizes of n solids, metres."""


def nearest_solid(
    scene: PackedScene, origins: Float[Tensor, "3 R"], directions: Float[Tensor, "3 R"]
) -> tuple[Float[Tensor, " R"], Int[Tensor, " R"]]:
    """Ray parameter (in lengths of ``directions``; `FAR` for a miss) of the first hit, and the index of the solid."""
    nearest = first_blocker(scene, origins, directions)
    index = torch.zeros_like(nearest)
    start = 0
    for hit, affine in zip(_HIT, scene.unit_from_world, strict=True):
        t = hit(_transform(affine, origins), _turn(affine, directions))
        number = torch.arange(affine.shape[0], device=t.device, dtype=t.dtype)[:, None] + start
        # a maximum over "is it this one" is several times faster than argmin where loops are vectorised over rays
        index = torch.maximum(index, torch.where(t <= nearest, number, 0.0).amax(0))
        start = start + affine.shape[0]
    return nearest, index.long()


def first_blocker(
    scene: PackedScene, origins: Float[Tensor, "3 R"], directions: Float[Tensor, "3 R"]
) -> Float[Tensor, " R"]:
    """Ray parameter of the first hit of any solid, `FAR` for a miss."""
    nearest = torch.full_like(origins[0], FAR)
    for hit, affine in zip(_HIT, scene.unit_from_world, strict=True):
        t = hit(_transform(affine, origins), _turn(affine, directions))
        nearest = torch.minimum(nearest, t.amin(0))
    return nearest


def nearest_face(
    scene: PackedScene, origins: Float[Tensor, "3 R"], directions: Float[Tensor, "3 R"]
) -> tuple[Float[Tensor, " R"], Int[Tensor, " R"]]:
    """Ray parameter and face (index into -x, +x, floor, ceiling, -z, +z) of the room or the ground."""
    x, y, z = origins.unbind(0)
    dx, dy, dz = (_nonzero(slope) for slope in directions.unbind(0))
    if not scene.is_room:
        t = -y / torch.where(dy < 0, dy, -_TINY)
        return torch.where((dy < -1e-5) & (t < GROUND_REACH), t, FAR), torch.full_like(t, 2, dtype=torch.long)
    half_x, height, half_z = scene.half_extent.unbind()
    to_x = (torch.where(dx > 0, half_x, -half_x) - x) / dx
    to_y = (torch.where(dy > 0, height, torch.zeros_like(height)) - y) / dy
    to_z = (torch.where(dz > 0, half_z, -half_z) - z) / dz
    t = torch.minimum(torch.minimum(to_x, to_y), to_z)
    face = torch.where(to_x <= t, (dx > 0).long(), torch.where(to_y <= t, 2 + (dy > 0).long(), 4 + (dz > 0).long()))
    return t, face


def distances_along(
    scene: PackedScene, points: Float[Tensor, "3 R"], normals: Float[Tensor, "3 R"], steps: tuple[float, ...]
) -> list[Float[Tensor, " R"]]:
    """Signed distance in metres to the nearest surface at ``points + step * normals``, for each step.

    Exact for boxes and surroundings; for the other shapes zero at the surface and approximate elsewhere.
    """
    nearest = [torch.full_like(points[0], FAR) for _ in steps]
    for measure, affine, half_size in zip(_DISTANCE, scene.unit_from_world, scene.half_size, strict=True):
        half = half_size.unbind(1)
        size = (half[0][:, None], half[1][:, None], half[2][:, None])
        x, y, z = (unit * half for unit, half in zip(_transform(affine, points), size, strict=True))
        dx, dy, dz = (unit * half for unit, half in zip(_turn(affine, normals), size, strict=True))
        for index, step in enumerate(steps):
            at = (x + step * dx, y + step * dy, z + step * dz)
            nearest[index] = torch.minimum(nearest[index], measure(at, size).amin(0))
    return [
        torch.minimum(solid, _distance_to_surroundings(scene, points + step * normals))
        for solid, step in zip(nearest, steps, strict=True)
    ]


def _distance_to_surroundings(scene: PackedScene, points: Float[Tensor, "3 R"]) -> Float[Tensor, " R"]:
    x, y, z = points.unbind(0)
    if not scene.is_room:
        return y
    half_x, height, half_z = scene.half_extent.unbind()
    walls = torch.minimum(half_x - x.abs(), half_z - z.abs())
    return torch.minimum(walls, torch.minimum(y, height - y))


def _turn(affine: Float[Tensor, "n 3 4"], vectors: Float[Tensor, "3 R"]) -> Coordinates:
    """Directions in the axes of each solid."""
    x, y, z = vectors.unbind(0)
    a, b, c = (affine[:, i, 0, None] * x + affine[:, i, 1, None] * y + affine[:, i, 2, None] * z for i in range(3))
    return a, b, c


def _transform(affine: Float[Tensor, "n 3 4"], points: Float[Tensor, "3 R"]) -> Coordinates:
    """Points in the axes of each solid."""
    a, b, c = (turned + affine[:, i, 3, None] for i, turned in enumerate(_turn(affine, points)))
    return a, b, c


def _nonzero(x: Tensor) -> Tensor:
    return torch.where(x.abs() < _TINY, _TINY, x)


def _hit_box(origin: Coordinates, direction: Coordinates) -> Float[Tensor, "n R"]:
    """Slabs (Kay and Kajiya 1986)."""
    enter, leave = torch.full_like(origin[0], -FAR), torch.full_like(origin[0], FAR)
    for position, slope in zip(origin, direction, strict=True):
        inverse = 1 / _nonzero(slope)
        middle, reach = -position * inverse, inverse.abs()
        enter, leave = torch.maximum(enter, middle - reach), torch.minimum(leave, middle + reach)
    return torch.where((enter < leave) & (enter > NEAR), enter, FAR)


def _hit_ellipsoid(origin: Coordinates, direction: Coordinates) -> Float[Tensor, "n R"]:
    """Unit sphere, from the point of the ray closest to its centre: no cancellation for distant ones."""
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    inverse = 1 / (dx * dx + dy * dy + dz * dz)
    middle = -(ox * dx + oy * dy + oz * dz) * inverse
    x, y, z = ox + middle * dx, oy + middle * dy, oz + middle * dz
    inside = 1 - (x * x + y * y + z * z)
    t = middle - (inside.clamp_min(0) * inverse).sqrt()
    return torch.where((inside > 0) & (t > NEAR), t, FAR)


def _hit_cylinder(origin: Coordinates, direction: Coordinates) -> Float[Tensor, "n R"]:
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    inverse = 1 / (dx * dx + dz * dz).clamp_min(_TINY)
    middle = -(ox * dx + oz * dz) * inverse
    x, z = ox + middle * dx, oz + middle * dz
    inside = 1 - (x * x + z * z)
    reach = (inside.clamp_min(0) * inverse).sqrt()
    slab = 1 / _nonzero(dy)
    enter = torch.maximum(middle - reach, -oy * slab - slab.abs())
    leave = torch.minimum(middle + reach, -oy * slab + slab.abs())
    return torch.where((inside > 0) & (enter < leave) & (enter > NEAR), enter, FAR)


def _hit_cone(origin: Coordinates, direction: Coordinates) -> Float[Tensor, "n R"]:
    """Radius (1 - y) / 2: the surface x^2 + z^2 = (1 - y)^2 / 4, and the disc at y = -1."""
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    w = 1 - oy
    a = _nonzero(dx * dx + dz * dz - 0.25 * dy * dy)
    b = ox * dx + oz * dz + 0.25 * w * dy
    c = ox * ox + oz * oz - 0.25 * w * w
    inside = b * b - a * c
    root = inside.clamp_min(0).sqrt()
    nearest = torch.full_like(a, FAR)
    for sign in (-1, 1):
        t = (-b + sign * root) / a
        within = (oy + t * dy).abs() < 1
        nearest = torch.where((inside > 0) & (t > NEAR) & within & (t < nearest), t, nearest)
    t = (-1 - oy) / _nonzero(dy)
    x, z = ox + t * dx, oz + t * dz
    return torch.where((t > NEAR) & (x * x + z * z < 1) & (t < nearest), t, nearest)


_HIT = (_hit_box, _hit_ellipsoid, _hit_cylinder, _hit_cone)
"""In the order of `Shape`."""


def _distance_box(p: Coordinates, half: Sizes) -> Float[Tensor, "n R"]:
    x, y, z = (axis.abs() - size for axis, size in zip(p, half, strict=True))
    outside = (x.clamp_min(0) ** 2 + y.clamp_min(0) ** 2 + z.clamp_min(0) ** 2).sqrt()
    return outside + torch.maximum(torch.maximum(x, y), z).clamp_max(0)


def _distance_ellipsoid(p: Coordinates, half: Sizes) -> Float[Tensor, "n R"]:
    x, y, z = (axis / size for axis, size in zip(p, half, strict=True))
    return ((x * x + y * y + z * z).sqrt() - 1) * torch.minimum(torch.minimum(half[0], half[1]), half[2])


def _distance_cylinder(p: Coordinates, half: Sizes) -> Float[Tensor, "n R"]:
    x, z = p[0] / half[0], p[2] / half[2]
    return torch.maximum(((x * x + z * z).sqrt() - 1) * half[0], p[1].abs() - half[1])


def _distance_cone(p: Coordinates, half: Sizes) -> Float[Tensor, "n R"]:
    x, y, z = (axis / size for axis, size in zip(p, half, strict=True))
    slope = ((x * x + z * z).sqrt() - (1 - y) / 2) * half[0] * 0.8
    return torch.maximum(slope, -p[1] - half[1])


_DISTANCE = (_distance_box, _distance_ellipsoid, _distance_cylinder, _distance_cone)
"""In the order of `Shape`."""
