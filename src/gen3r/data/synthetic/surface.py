"""What a ray hits: which surface, and its normal and texture coordinates there. Vectors are ``[3, R]``."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gen3r.data.synthetic.description import Shape
from gen3r.data.synthetic.intersection import FAR, first_blocker, nearest_face, nearest_solid
from gen3r.data.synthetic.packed import PackedScene

_CAP = 0.9995
"""Beyond this height a point of a unit cylinder is on its cap, below its negative a point of a cone on its base."""


class Hits(NamedTuple):
    """The first surface along each of R rays."""

    t: Float[Tensor, " R"]
    """Ray parameter, `FAR` for the sky."""
    solid: Int[Tensor, " R"]
    """Index of the solid; valid where not ``around``."""
    face: Int[Tensor, " R"]
    """Face of the surroundings; valid where ``around``."""
    around: Bool[Tensor, " R"]
    """The surroundings are hit before any solid."""
    material: Int[Tensor, " R"]


class Surface(NamedTuple):
    """Local geometry at R hits."""

    normal: Float[Tensor, "3 R"]
    """World, unit length, outward."""
    u: Float[Tensor, " R"]
    """Texture coordinates in metres."""
    v: Float[Tensor, " R"]


def first_hits(scene: PackedScene, origins: Float[Tensor, "3 R"], directions: Float[Tensor, "3 R"]) -> Hits:
    """The first surface along each ray; the parameter is in lengths of ``directions``."""
    near, solid = nearest_solid(scene, origins, directions)
    far, face = nearest_face(scene, origins, directions)
    around = far < near
    material = torch.where(around, scene.shape.shape[0] + face, solid)
    return Hits(torch.minimum(near, far), solid, face, around, material)


def ray_depth(
    scene: PackedScene, origins: Float[Tensor, "3 R"], directions: Float[Tensor, "3 R"]
) -> Float[Tensor, " R"]:
    """Ray parameter of the first hit, 0 for the sky: the z-depth for directions of unit z in the camera."""
    t = torch.minimum(first_blocker(scene, origins, directions), nearest_face(scene, origins, directions)[0])
    return torch.where(t < FAR / 2, t, 0.0)


def surface_at(scene: PackedScene, hits: Hits, position: Float[Tensor, "3 R"]) -> Surface:
    """Normals and texture coordinates of the hits at these world positions."""
    solid = _solid_at(scene, hits, position)
    face = _face_at(scene, hits, position)
    return Surface(*(torch.where(hits.around, a, b) for a, b in zip(face, solid, strict=True)))


def _solid_at(scene: PackedScene, hits: Hits, position: Float[Tensor, "3 R"]) -> Surface:
    affine = [[scene.all_unit_from_world[:, i, j][hits.solid] for j in range(4)] for i in range(3)]
    px, py, pz = position.unbind(0)
    x, y, z = (row[0] * px + row[1] * py + row[2] * pz + row[3] for row in affine)
    half_x, half_y, half_z = (scene.all_half_size[:, i][hits.solid] for i in range(3))
    shape = scene.shape[hits.solid]
    is_box, is_ellipsoid = shape == int(Shape.BOX), shape == int(Shape.ELLIPSOID)
    is_cone = shape == int(Shape.CONE)
    cap = ((shape == int(Shape.CYLINDER)) & (y.abs() > _CAP)) | (is_cone & (y < -_CAP))
    on_x = is_box & (x.abs() >= y.abs()) & (x.abs() >= z.abs())
    on_y = (is_box & ~on_x & (y.abs() >= z.abs())) | cap
    on_z = is_box & ~on_x & ~on_y
    flat = is_box | cap

    zero = torch.zeros_like(x)
    normal_x = torch.where(flat, torch.where(on_x, x.sign(), zero), x)
    side_y = torch.where(is_ellipsoid, y, torch.where(is_cone, (1 - y) / 4, zero))
    normal_y = torch.where(flat, torch.where(on_y, y.sign(), zero), side_y)
    normal_z = torch.where(flat, torch.where(on_z, z.sign(), zero), z)
    # normals go with the transpose of what brings points into the unit axes
    normal = torch.stack(
        [affine[0][j] * normal_x + affine[1][j] * normal_y + affine[2][j] * normal_z for j in range(3)]
    )
    normal = normal / (normal**2).sum(0).sqrt().clamp_min(1e-8)

    frequency = scene.frequency[hits.material]
    girth = 2 * math.pi * half_x * frequency
    whole = (girth / 2).round().clamp_min(1) * 2  # whole periods around a round body leave no seam
    around_body = torch.atan2(z, x) * half_x * whole / girth
    u = torch.where(flat, torch.where(on_x, z * half_z, x * half_x), around_body)
    along_body = torch.where(is_ellipsoid, torch.asin(y.clamp(-1, 1)), y) * half_y
    v = torch.where(flat, torch.where(on_y, z * half_z, y * half_y), along_body)
    return Surface(normal, u, v)


def _face_at(scene: PackedScene, hits: Hits, position: Float[Tensor, "3 R"]) -> Surface:
    x, y, z = position.unbind(0)
    if not scene.is_room:
        zero = torch.zeros_like(y)
        return Surface(torch.stack((zero, zero + 1, zero)), x, z)
    axis = torch.div(hits.face, 2, rounding_mode="floor")
    inward = (1 - 2 * (hits.face % 2)).to(position.dtype)
    normal = torch.stack([torch.where(axis == i, inward, 0.0) for i in range(3)])
    return Surface(normal, torch.where(axis == 0, z, x), torch.where(axis == 1, z, y))
