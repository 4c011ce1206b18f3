"""Procedural textures: how much of a material's second colour shows, filtered by the footprint of the pixel.

Edges are as soft as the pixel is wide, and whole patterns fade to their mean where they are finer than pixels, so that
nothing shimmers along a camera path.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gen3r.data.synthetic.description import Texture

NOISE_SIZE = 512
NOISE_PERIOD = 8.0
"""Metres after which the noise repeats."""


@lru_cache(maxsize=4)
def noise_table(device: torch.device) -> Float[Tensor, " S"]:
    """A tileable sum of octaves, mean 0.5, in 0..1; the same on every machine."""
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(NOISE_SIZE, NOISE_SIZE)
    amplitude = 1.0
    for cells in (8, 16, 32, 64, 128):
        coarse = F.pad(torch.rand(1, 1, cells, cells, generator=generator), (2, 2, 2, 2), mode="circular")
        factor = NOISE_SIZE // cells
        fine = F.interpolate(coarse, scale_factor=factor, mode="bicubic", align_corners=False)[0, 0]
        margin = 2 * factor
        total += amplitude * fine[margin : margin + NOISE_SIZE, margin : margin + NOISE_SIZE]
        amplitude *= 0.55
    total = (total - total.mean()) / total.std()
    return (0.5 + 0.22 * total).clamp(0, 1).reshape(-1).to(device)


def noise(table: Float[Tensor, " S"], u: Float[Tensor, " R"], v: Float[Tensor, " R"]) -> Float[Tensor, " R"]:
    """Bilinear lookup of the noise at (u, v) metres."""
    scale = NOISE_SIZE / NOISE_PERIOD
    x, y = u * scale, v * scale
    left, top = x.floor(), y.floor()
    fx, fy = x - left, y - top
    x0, y0 = left.long() & (NOISE_SIZE - 1), top.long() & (NOISE_SIZE - 1)
    x1, y1 = (x0 + 1) & (NOISE_SIZE - 1), (y0 + 1) & (NOISE_SIZE - 1)
    upper = torch.lerp(table[y0 * NOISE_SIZE + x0], table[y0 * NOISE_SIZE + x1], fx)
    lower = torch.lerp(table[y1 * NOISE_SIZE + x0], table[y1 * NOISE_SIZE + x1], fx)
    return torch.lerp(upper, lower, fy)


def second_color_share(
    table: Float[Tensor, " S"],
    texture: Int[Tensor, " R"],
    frequency: Float[Tensor, " R"],
    u: Float[Tensor, " R"],
    v: Float[Tensor, " R"],
    footprint: Float[Tensor, " R"],
) -> Float[Tensor, " R"]:
    """Blend weight of the second colour, about 0..1, at surface coordinates (u, v) in metres.

    All patterns are computed for all rays and selected: branch-free, so it fuses when compiled.
    """
    a, b = u * frequency, v * frequency
    width = (footprint * frequency).clamp(0.004, 4.0)
    fade = (1.6 - width * 2.2).clamp(0, 1)
    soft_fade = (1.8 - 0.8 * width).clamp(0.1, 1)
    grain = noise(table, a, b)
    share = 0.16 * (grain - 0.2).clamp(0, 1)  # even plain surfaces are not perfectly even

    def put(kind: Texture, value: Tensor, mean: float, visible: Tensor) -> None:
        nonlocal share
        share = torch.where(texture == int(kind), mean + (value - mean) * visible, share)

    squares = (_step(_wave(a / 2) - 0.5, width) * 2 - 1) * (_step(_wave(b / 2) - 0.5, width) * 2 - 1)
    put(Texture.CHECK, 0.5 - 0.5 * squares, 0.5, fade)
    put(Texture.STRIPE, _step(_wave(a) - 0.5, 2 * width), 0.5, fade)

    row = (b * 2).floor()
    x = a + 0.5 * (row - 2 * (row / 2).floor())
    joint = torch.minimum(_edge(x), _edge(b * 2) / 2)
    put(Texture.BRICK, torch.maximum(1 - _step(joint - 0.035, width + 0.01), _hash(x.floor(), row) * 0.35), 0.25, fade)
    joint = torch.minimum(_edge(a), _edge(b))
    put(
        Texture.TILE,
        torch.maximum(1 - _step(joint - 0.03, width + 0.01), _hash(a.floor(), b.floor()) * 0.4),
        0.27,
        fade,
    )

    put(Texture.NOISE, ((grain - 0.5) * 1.8 + 0.5).clamp(0, 1), 0.5, soft_fade)
    blades = grain * 0.5 + noise(table, a * 4, b * 4) * 0.5
    put(Texture.GRASS, ((blades - 0.5) * 2.4 + 0.5).clamp(0, 1), 0.5, soft_fade)
    put(Texture.MARBLE, (0.5 + 0.5 * torch.sin(3 * (a + b) + 14 * grain)) ** 3, 0.3, fade)

    hills = _step((grain - 0.5) * 0.8 - 0.1 - b, width + 0.06) * (0.7 + 0.3 * grain)
    put(Texture.VIEW, hills, 0.4, fade)

    dx, dy = a - a.floor() - 0.5, b - b.floor() - 0.5
    put(Texture.DOTS, 1 - _step((dx * dx + dy * dy).sqrt() - 0.28, width + 0.01), 0.25, fade)

    row = (b * 3.2).floor()
    x = a + row * 0.37
    plank = (x * 0.625).floor()
    shade = _hash(plank, row)
    fibre = noise(table, x * 0.35 + shade * 7, b * 3 + shade * 3)
    joint = torch.minimum(_edge(b * 3.2), _edge(x * 0.625) * 5)
    planks = shade * 0.45 + fibre * 0.55 + 0.9 * (1 - _step(joint - 0.03, width * 3 + 0.01))
    put(Texture.WOOD, planks.clamp(0, 1.3), 0.5, fade)
    return share


def _step(x: Tensor, width: Tensor) -> Tensor:
    """0 below and 1 above zero, with a ramp ``width`` wide."""
    return (x / width + 0.5).clamp(0, 1)


def _wave(x: Tensor) -> Tensor:
    """Triangle wave of period 1 in 0..1."""
    return 1 - 2 * ((x - x.floor()) - 0.5).abs()


def _edge(x: Tensor) -> Tensor:
    """Distance to the next integer, 0..0.5."""
    return 0.5 - ((x - x.floor()) - 0.5).abs()


def _hash(x: Tensor, y: Tensor) -> Tensor:
    """A repeatable number in 0..1 per pair of integers."""
    return torch.frac((x * 12.9898 + y * 78.233).sin().abs() * 437.5)
