"""Colour along rays: textured surfaces under one light with shadow and ambient occlusion, sky and haze outdoors.

Vectors and colours are ``[3, R]``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.data.synthetic.intersection import FAR, distances_along, first_blocker
from gen3r.data.synthetic.packed import PackedScene
from gen3r.data.synthetic.surface import Hits, first_hits, surface_at
from gen3r.data.synthetic.textures import noise, second_color_share

SKY_DISTANCE = 200.0
HAZE_DISTANCE = 42.0
OCCLUSION_REACH = (0.08, 0.4)
"""Distances along the normal in metres at which openness is probed."""
OCCLUSION_WEIGHT = (0.4, 0.6)
SKIRTING = 0.1
"""Height of skirting boards in metres."""
SKIRTING_COLOR = 0.66
SHADOW_BIAS = 2e-3


def shade(
    scene: PackedScene,
    table: Float[Tensor, " S"],
    origins: Float[Tensor, "3 R"],
    directions: Float[Tensor, "3 R"],
    pixel_angle: Float[Tensor, ""],
    light_offset: Float[Tensor, "3 1"],
) -> Float[Tensor, "3 R"]:
    """Display colour (0..1, tone-mapped) along rays.

    Args:
        scene: on the rays' device.
        table: from `noise_table`.
        origins: world metres.
        directions: of any length.
        pixel_angle: radians a pixel spans, for texture filtering.
        light_offset: moves the light a little; averaging over several gives soft shadows.
    """
    directions = directions / _length(directions)
    hits = first_hits(scene, origins, directions)
    reach = hits.t.clamp_max(SKY_DISTANCE)
    position = origins + reach * directions
    normal, u, v = surface_at(scene, hits, position)
    cosine = -_dot(normal, directions)
    normal = torch.where(cosine < 0, -normal, normal)
    cosine = cosine.abs()
    footprint = pixel_angle * reach / cosine.clamp_min(0.12)
    share = second_color_share(table, scene.texture[hits.material], scene.frequency[hits.material], u, v, footprint)
    albedo = scene.color[:, hits.material] * (1 - share) + scene.second[:, hits.material] * share
    albedo = _large_scale(scene, table, albedo, position, hits)

    to_light, attenuation, lit = _light(scene, position + normal * SHADOW_BIAS, light_offset)
    openness = _openness(scene, position, normal)
    upward = 0.5 + 0.5 * normal[1]
    ambient = (scene.ambient_up * upward + scene.ambient_down * (1 - upward)) * openness
    facing = _dot(normal, to_light).clamp_min(0)
    strength = 0.67 if scene.is_room else 0.51
    direct = scene.light_color * (attenuation * facing * lit * (0.35 + 0.65 * openness) * strength)
    color = albedo * (ambient + direct)

    gloss = scene.gloss[hits.material]
    halfway = to_light - directions
    highlight = (_dot(normal, halfway) / _length(halfway).clamp_min(1e-8)).clamp_min(0) ** 60
    fresnel = (1 - cosine) ** 4 * openness * gloss * 0.5
    mirrored = _mirrored(scene, directions, normal, cosine)
    color = (
        color * (1 - fresnel) + mirrored * fresnel + scene.light_color * (highlight * gloss * lit * attenuation * 0.5)
    )
    emission = scene.emission[hits.material]
    color = torch.where(emission > 0, albedo * emission * 1.3, color)
    if not scene.is_room:
        haze = 1 - torch.exp(-((reach / HAZE_DISTANCE) ** 1.6))
        color = color * (1 - haze) + scene.horizon * 0.85 * haze
        color = torch.where(hits.t < FAR / 2, color, _sky(scene, table, directions))
    return _tone_map(color)


def _dot(a: Float[Tensor, "3 R"], b: Float[Tensor, "3 _"]) -> Float[Tensor, " R"]:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _length(a: Float[Tensor, "3 R"]) -> Float[Tensor, " R"]:
    return _dot(a, a).sqrt()


def _openness(scene: PackedScene, position: Float[Tensor, "3 R"], normal: Float[Tensor, "3 R"]) -> Float[Tensor, " R"]:
    """1 in the open, towards 0.15 in corners: how much nearer surfaces are than the step away from this one."""
    distances = distances_along(scene, position, normal, OCCLUSION_REACH)
    occlusion = torch.zeros_like(position[0])
    for distance, reach, weight in zip(distances, OCCLUSION_REACH, OCCLUSION_WEIGHT, strict=True):
        occlusion = occlusion + weight * (1 - (distance / reach).clamp(0, 1))
    return 1 - 0.85 * occlusion


def _large_scale(
    scene: PackedScene, table: Tensor, albedo: Float[Tensor, "3 R"], position: Float[Tensor, "3 R"], hits: Hits
) -> Float[Tensor, "3 R"]:
    """Broad variation of the ground; skirting boards in rooms."""
    if not scene.is_room:
        broad = noise(table, position[0] * 0.11, position[2] * 0.11)
        return albedo * (1 + 0.35 * (broad - 0.5) * hits.around)
    on_wall = torch.div(hits.face, 2, rounding_mode="floor") != 1
    return torch.where(hits.around & on_wall & (position[1] < SKIRTING), SKIRTING_COLOR, albedo)


def _light(
    scene: PackedScene, position: Float[Tensor, "3 R"], offset: Float[Tensor, "3 1"]
) -> tuple[Float[Tensor, "3 R"], Float[Tensor, " R"], Float[Tensor, " R"]]:
    """Unit direction to the light, attenuation, and 1 where nothing blocks it."""
    if scene.is_room:
        path = scene.light_position + offset * 0.13 - position
        far = _length(path)
        direction, attenuation, limit = path / far, 1 / (1 + far * far), far - 0.3
    else:
        sun = scene.light_position + offset * 0.014
        direction = (sun / _length(sun)).expand_as(position)
        attenuation, limit = torch.ones_like(position[0]), torch.full_like(position[0], FAR / 2)
    return direction, attenuation, torch.where(first_blocker(scene, position, direction) > limit, 1.0, 0.0)


def _mirrored(
    scene: PackedScene, directions: Float[Tensor, "3 R"], normal: Float[Tensor, "3 R"], cosine: Float[Tensor, " R"]
) -> Float[Tensor, "3 _"]:
    """What a glossy surface reflects: plain sky, or the light of the room."""
    if scene.is_room:
        return scene.horizon * 0.4
    up = (directions[1] + 2 * cosine * normal[1]).clamp(0, 1)
    return scene.sky * up + scene.horizon * (1 - up)


def _sky(scene: PackedScene, table: Tensor, directions: Float[Tensor, "3 R"]) -> Float[Tensor, "3 R"]:
    """Gradient, clouds, and the sun with its glow."""
    up = directions[1].clamp_min(0)
    low = (1 - up) ** 3.2
    color = scene.sky * (1 - low) + scene.horizon * low
    plane = 0.9 / (up + 0.12)
    cloud = noise(table, directions[0] * plane, directions[2] * plane)
    cover = ((cloud - 0.52) * 4).clamp(0, 1) * (up * 5).clamp(0, 1) * 0.75
    color = color * (1 - cover) + (scene.horizon * 0.6 + scene.light_color * 0.16 + 0.12) * cover
    toward = _dot(directions, scene.light_position).clamp_min(0)
    return color + scene.light_color * (toward**350 * 2 + toward**12 * 0.12)


def _tone_map(color: Float[Tensor, "3 R"]) -> Float[Tensor, "3 R"]:
    """The filmic curve of Narkowicz (2015), a rational fit of ACES, then display gamma 2.2."""
    x = color * 1.05
    return ((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)).clamp(0, 1) ** (1 / 2.2)
