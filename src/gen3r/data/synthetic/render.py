"""Frames of a packed scene along a path: colour with anti-aliasing, and exact depth at pixel centres."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.data.synthetic.intersection import FAR
from gen3r.data.synthetic.packed import PackedScene
from gen3r.data.synthetic.shading import first_hit, shade
from gen3r.data.synthetic.textures import noise_table

CHUNK = 16384
"""Rays per kernel launch; constant, so that compiled code sees one size."""
_SUBPIXELS: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((0.0, 0.0),),
    2: ((-0.25, -0.25), (0.25, 0.25)),
    4: ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125)),
}
"""Sample positions around the pixel centre, rows and columns all different."""
_LIGHT_SHIFTS = ((0.7, 0.0, 0.4), (-0.4, 0.0, 0.7), (-0.7, 0.0, -0.4), (0.4, 0.0, -0.7))
"""Where on the lamp each sample aims: soft shadows without further rays."""


def _shade_and_hit(scene: PackedScene, *arguments: Any) -> Tensor:
    return shade(scene, *arguments)


def _depth(scene: PackedScene, origins: Tensor, directions: Tensor) -> Tensor:
    return first_hit(scene, origins, directions)[0]


@lru_cache(maxsize=1)
def _compiled() -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    return torch.compile(_shade_and_hit, dynamic=True), torch.compile(_depth, dynamic=True)


@torch.no_grad()
def render(
    scene: PackedScene, cameras: Cameras, *, samples: int = 4, compiled: bool = False
) -> tuple[Float[Tensor, "F H W 3"], Float[Tensor, "F H W"]]:
    """Colour in 0..1 and z-depth in metres (0 = sky), on the scene's device.

    Args:
        scene: what to look at.
        cameras: ``[F]``.
        samples: colour samples per pixel: 1, 2 or 4.
        compiled: use torch.compile: minutes to start, then several times faster on a CPU.

    Raises:
        ValueError: for another number of samples.
    """
    if samples not in _SUBPIXELS:
        raise ValueError(f"samples must be one of {sorted(_SUBPIXELS)}, got {samples}.")
    color_of, depth_of = _compiled() if compiled else (_shade_and_hit, _depth)
    device = scene.center.device
    table = noise_table(device)
    size = (len(cameras), cameras.height, cameras.width)
    pixel_angle = (1 / cameras.intrinsics[0, 0, 0]).to(device) / samples**0.5
    total = torch.zeros(size[0] * size[1] * size[2], 3, device=device)
    for (down, right), shift in zip(_SUBPIXELS[samples], _LIGHT_SHIFTS, strict=False):
        origins, directions = _rays(cameras, down, right, device)
        unit = directions / directions.norm(dim=-1, keepdim=True)
        offset = torch.tensor(shift if samples > 1 else (0.0, 0.0, 0.0), device=device)
        for part, chunk in _chunks(origins, unit):
            total[part] += color_of(scene, table, *chunk, pixel_angle, offset)[: part.stop - part.start]
    origins, directions = _rays(cameras, 0.0, 0.0, device)
    depth = torch.cat(
        [depth_of(scene, *chunk)[: part.stop - part.start] for part, chunk in _chunks(origins, directions)]
    )
    depth = torch.where(depth < FAR / 2, depth, 0.0)
    return (total / samples).view(*size, 3), depth.view(size)


def _rays(cameras: Cameras, down: float, right: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Origins and directions with unit z in the camera, so that the ray parameter is the z-depth."""
    rows = torch.arange(cameras.height, device=device) + 0.5 + down
    columns = torch.arange(cameras.width, device=device) + 0.5 + right
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    intrinsics = cameras.intrinsics.to(device)
    focal_x, focal_y = intrinsics[:, 0, 0, None, None], intrinsics[:, 1, 1, None, None]
    center_x, center_y = intrinsics[:, 0, 2, None, None], intrinsics[:, 1, 2, None, None]
    local = torch.stack(
        ((x - center_x) / focal_x, (y - center_y) / focal_y, torch.ones_like(x).expand(len(cameras), -1, -1)), dim=-1
    )
    poses = cameras.world_from_camera.to(device)
    directions = torch.einsum("fij,fhwj->fhwi", poses[:, :3, :3], local)
    origins = poses[:, None, None, :3, 3].expand_as(directions)
    return origins.reshape(-1, 3), directions.reshape(-1, 3)


def _chunks(origins: Tensor, directions: Tensor) -> list[tuple[slice, tuple[Tensor, Tensor]]]:
    """Pieces of exactly `CHUNK` rays (the last repeats its first ray), and where they belong."""
    pieces = []
    for start in range(0, len(origins), CHUNK):
        part = slice(start, min(start + CHUNK, len(origins)))
        missing = CHUNK - (part.stop - part.start)
        chunk = tuple(
            torch.cat((rays[part], rays[part][:1].expand(missing, 3))).contiguous() for rays in (origins, directions)
        )
        pieces.append((part, chunk))
    return pieces
