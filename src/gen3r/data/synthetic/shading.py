"""Colour along rays: textured surfaces under one light with shadow and ambient occlusion, sky and haze outdoors."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gen3r.data.synthetic.description import Shape
from gen3r.data.synthetic.intersection import FAR, distance, hit_primitives, hit_surroundings
from gen3r.data.synthetic.packed import PackedScene
from gen3r.data.synthetic.textures import noise, second_color_share

SKY_DISTANCE = 200.0
HAZE_DISTANCE = 42.0
OCCLUSION_TAPS = ((0.08, 0.4), (0.4, 0.6))
"""Distance along the normal in metres, and weight."""
SKIRTING = 0.1
"""Height of skirting boards in metres."""


def first_hit(
    scene: PackedScene, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"]
) -> tuple[Float[Tensor, " R"], Int[Tensor, " R"], Int[Tensor, " R"]]:
    """Distance along each ray (`FAR`: sky), material index, and the face of the surroundings (valid if hit)."""
    near, primitive = hit_primitives(scene, origins, directions).min(0)
    around, face = hit_surroundings(scene, origins, directions)
    return torch.minimum(near, around), torch.where(around < near, sum(scene.counts) + face, primitive), face


def shade(
    scene: PackedScene,
    table: Float[Tensor, " S"],
    origins: Float[Tensor, "R 3"],
    directions: Float[Tensor, "R 3"],
    pixel_angle: Float[Tensor, ""],
    light_offset: Float[Tensor, " 3"],
) -> Float[Tensor, "R 3"]:
    """Display colour (0..1, tone-mapped) along rays with unit directions.

    Args:
        scene: on the rays' device.
        table: from `noise_table`.
        origins: world metres.
        directions: unit length.
        pixel_angle: radians a pixel spans, for texture filtering.
        light_offset: moves the light a little; averaging over several gives soft shadows.
    """
    t, surface, face = first_hit(scene, origins, directions)
    hit = t < FAR / 2
    around = surface >= sum(scene.counts)
    position = origins + t.clamp_max(SKY_DISTANCE)[:, None] * directions
    normal, u, v, frequency = _surface(scene, position, surface, face, around)
    cosine = -(normal * directions).sum(-1)
    normal = torch.where((cosine < 0)[:, None], -normal, normal)
    cosine = cosine.abs()
    footprint = pixel_angle * t.clamp_max(SKY_DISTANCE) / cosine.clamp_min(0.12)
    share = second_color_share(table, scene.texture[surface], frequency, u, v, footprint)[:, None]
    albedo = scene.color[surface] * (1 - share) + scene.second[surface] * share
    albedo = _large_scale(scene, table, albedo, position, around, face)

    to_light, attenuation, lit = _light(scene, position + normal * 2e-3, light_offset)
    occlusion = sum(
        weight * (1 - (distance(scene, position + normal * reach) / reach).clamp(0, 1))
        for reach, weight in OCCLUSION_TAPS
    )
    openness = 1 - 0.85 * occlusion
    upward = 0.5 + 0.5 * normal[:, 1:2]
    ambient = (scene.ambient_up * upward + scene.ambient_down * (1 - upward)) * openness[:, None]
    facing = (normal * to_light).sum(-1).clamp_min(0)
    strength = 0.67 if scene.is_room else 0.51
    direct = scene.light_color * attenuation * (facing * lit)[:, None] * (0.35 + 0.65 * openness[:, None]) * strength
    color = albedo * (ambient + direct)
    color = _reflect(scene, surface, color, directions, normal, cosine, to_light, lit, attenuation, openness)
    emission = scene.emission[surface][:, None]
    color = torch.where(emission > 0, albedo * emission * 1.3, color)
    if not scene.is_room:
        haze = (1 - torch.exp(-((t.clamp_max(SKY_DISTANCE) / HAZE_DISTANCE) ** 1.6)))[:, None]
        color = color * (1 - haze) + scene.horizon * 0.85 * haze
        color = torch.where(hit[:, None], color, _sky(scene, table, directions))
    return _tone_map(color)


def _surface(
    scene: PackedScene,
    position: Float[Tensor, "R 3"],
    surface: Int[Tensor, " R"],
    face: Int[Tensor, " R"],
    around: Bool[Tensor, " R"],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Normal, surface coordinates in metres, and texture frequency at each hit."""
    index = surface.clamp_max(sum(scene.counts) - 1)
    matrix, half, shape = scene.local_from_world[index], scene.half_size[index], scene.shape[index]
    local = torch.einsum("rij,rj->ri", matrix, position - scene.center[index])
    x, y, z = local.unbind(1)
    axis = local.abs().argmax(1)
    box_normal = torch.zeros_like(local).scatter_(1, axis[:, None], local.gather(1, axis[:, None]).sign())
    is_cylinder, is_cone = shape == int(Shape.CYLINDER), shape == int(Shape.CONE)
    is_box, is_ellipsoid = shape == int(Shape.BOX), shape == int(Shape.ELLIPSOID)
    cap = (is_cylinder & (y.abs() > 0.9995)) | (is_cone & (y < -0.9995))
    zero = torch.zeros_like(y)
    side_normal = torch.stack((x, torch.where(is_cone, (1 - y) / 4, zero), z), 1)
    cap_normal = torch.stack((zero, y.sign(), zero), 1)
    local_normal = torch.where(
        is_box[:, None],
        box_normal,
        torch.where(is_ellipsoid[:, None], local, torch.where(cap[:, None], cap_normal, side_normal)),
    )
    normal = torch.einsum("rij,ri->rj", matrix, local_normal)
    normal = normal / (normal**2).sum(-1, keepdim=True).sqrt().clamp_min(1e-8)

    flat = is_box | cap
    axis = torch.where(cap, torch.ones_like(axis), axis)
    metres = local * half
    u = torch.where(flat, torch.where(axis == 0, metres[:, 2], metres[:, 0]), torch.atan2(z, x) * half[:, 0])
    round_v = torch.where(is_ellipsoid, torch.asin(y.clamp(-1, 1)) * half[:, 1], metres[:, 1])
    v = torch.where(flat, torch.where(axis == 1, metres[:, 2], metres[:, 1]), round_v)
    frequency = scene.frequency[surface]
    around_it = 2 * math.pi * half[:, 0] * frequency  # whole periods around a round body leave no seam
    whole = (around_it / 2).round().clamp_min(1) * 2
    u = torch.where(flat, u, u * whole / around_it)

    face_axis = torch.div(face, 2, rounding_mode="floor")
    inward = (1 - 2 * (face % 2)).to(position.dtype)
    around_normal = torch.zeros_like(position).scatter_(1, face_axis[:, None], inward[:, None])
    if not scene.is_room:
        around_normal = position.new_tensor([0.0, 1.0, 0.0]).expand_as(position)
    normal = torch.where(around[:, None], around_normal, normal)
    u = torch.where(around, torch.where(face_axis == 0, position[:, 2], position[:, 0]), u)
    v = torch.where(around, torch.where(face_axis == 1, position[:, 2], position[:, 1]), v)
    return normal, u, v, frequency


def _large_scale(
    scene: PackedScene, table: Tensor, albedo: Tensor, position: Tensor, around: Tensor, face: Tensor
) -> Tensor:
    """Broad variation of the ground; skirting boards in rooms."""
    if not scene.is_room:
        broad = noise(table, position[:, 0] * 0.11, position[:, 2] * 0.11)
        return albedo * (1 + 0.35 * (broad - 0.5) * around)[:, None]
    on_wall = torch.div(face, 2, rounding_mode="floor") != 1
    board = around & on_wall & (position[:, 1] < SKIRTING)
    return torch.where(board[:, None], albedo.new_tensor([0.68, 0.66, 0.62]), albedo)


def _light(
    scene: PackedScene, position: Float[Tensor, "R 3"], offset: Float[Tensor, " 3"]
) -> tuple[Float[Tensor, "R 3"], Tensor | float, Float[Tensor, " R"]]:
    """Unit direction to the light, attenuation, and 1 where nothing blocks it."""
    if scene.is_room:
        path = scene.light_position + offset * 0.13 - position
        far = (path**2).sum(-1, keepdim=True).sqrt()
        direction, attenuation, limit = path / far, 1 / (1 + far * far), far[:, 0] - 0.3
    else:
        sun = scene.light_position + offset * 0.014
        direction = (sun / (sun**2).sum().sqrt()).expand_as(position).contiguous()
        attenuation, limit = 1.0, torch.full_like(position[:, 0], FAR / 2)
    blocker = hit_primitives(scene, position, direction).amin(0)
    return direction, attenuation, torch.where(blocker > limit, 1.0, 0.0)


def _reflect(
    scene: PackedScene,
    surface: Tensor,
    color: Tensor,
    directions: Tensor,
    normal: Tensor,
    cosine: Tensor,
    to_light: Tensor,
    lit: Tensor,
    attenuation: Tensor | float,
    openness: Tensor,
) -> Tensor:
    """Add a highlight and a grazing reflection of the sky or the room."""
    gloss = scene.gloss[surface][:, None]
    half = to_light - directions
    half = half / (half**2).sum(-1, keepdim=True).sqrt().clamp_min(1e-8)
    highlight = ((normal * half).sum(-1).clamp_min(0) ** 60)[:, None] * gloss * lit[:, None]
    mirrored_up = (directions + 2 * cosine[:, None] * normal)[:, 1:2].clamp(0, 1)
    mirrored = scene.horizon * 0.4 if scene.is_room else scene.sky * mirrored_up + scene.horizon * (1 - mirrored_up)
    fresnel = ((1 - cosine) ** 4 * openness)[:, None] * gloss * 0.5
    return color * (1 - fresnel) + mirrored * fresnel + highlight * scene.light_color * attenuation * 0.5


def _sky(scene: PackedScene, table: Tensor, directions: Float[Tensor, "R 3"]) -> Float[Tensor, "R 3"]:
    """Gradient, drifting clouds, and the sun with its glow."""
    up = directions[:, 1].clamp_min(0)
    low = ((1 - up) ** 3.2)[:, None]
    color = scene.sky * (1 - low) + scene.horizon * low
    plane = 0.9 / (up + 0.12)
    cloud = noise(table, directions[:, 0] * plane, directions[:, 2] * plane)
    cover = (((cloud - 0.52) * 4).clamp(0, 1) * (up * 5).clamp(0, 1) * 0.75)[:, None]
    color = color * (1 - cover) + (scene.horizon * 0.6 + scene.light_color * 0.16 + 0.12) * cover
    toward = (directions @ scene.light_position).clamp_min(0)[:, None]
    return color + scene.light_color * (toward**350 * 2 + toward**12 * 0.12)


def _tone_map(color: Float[Tensor, "R 3"]) -> Float[Tensor, "R 3"]:
    """The filmic curve of Narkowicz (2015), a rational fit of ACES, then display gamma 2.2."""
    x = color * 1.05
    return ((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)).clamp(0, 1) ** (1 / 2.2)
