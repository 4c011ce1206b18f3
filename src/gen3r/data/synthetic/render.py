"""Frames of a packed scene along a path: colour with anti-aliasing, and exact depth at pixel centres."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.data.synthetic.packed import PackedScene
from gen3r.data.synthetic.shading import shade
from gen3r.data.synthetic.surface import ray_depth
from gen3r.data.synthetic.textures import noise_table

CPU_CHUNK = 16384
"""Rays per call on a CPU: what a core keeps in its cache. Constant, so that compiled code sees one size."""
GPU_CHUNK = 262144
"""Rays per call on an accelerator: enough to fill it, little enough to fit."""
COMPILED_GPU_CHUNK = 1 << 20
"""Rays per call there at most where calls are compiled and keep nothing between operations: a clip of 17 frames of
224x224 pixels in one."""
_SUBPIXELS: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((0.0, 0.0),),
    2: ((-0.25, -0.25), (0.25, 0.25)),
    4: ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125)),
}
"""Sample positions around the pixel centre (down, right), rows and columns all different."""
_LIGHT_SHIFTS = ((0.7, 0.0, 0.4), (-0.7, 0.0, -0.4), (-0.4, 0.0, 0.7), (0.4, 0.0, -0.7))
"""Where on the lamp each sample aims: soft shadows without further rays."""


@lru_cache(maxsize=1)
def _compiled() -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    return torch.compile(shade), torch.compile(ray_depth)


def sample_counts() -> tuple[int, ...]:
    """How many colour samples per pixel `render` offers."""
    return tuple(_SUBPIXELS)


@torch.no_grad()
def render(
    scene: PackedScene, cameras: Cameras, *, samples: int = 4, compiled: bool = False
) -> tuple[Float[Tensor, "F H W 3"], Float[Tensor, "F H W"]]:
    """Colour in 0..1 and z-depth in metres (0 = sky), on the scene's device.

    Args:
        scene: what to look at.
        cameras: ``[F]``.
        samples: colour samples per pixel: 1, 2 or 4.
        compiled: use torch.compile: slow to start, then several times faster; colours may differ in the last bits.

    Raises:
        ValueError: for another number of samples.
    """
    if samples not in sample_counts():
        raise ValueError(f"samples must be one of {sample_counts()}, got {samples}.")
    color_of, depth_of = _compiled() if compiled else (shade, ray_depth)
    if compiled:
        _let_sizes_vary(scene)
    device = scene.shape.device
    table = noise_table(device)
    size = (len(cameras), cameras.height, cameras.width)
    pixel_angle = (1 / cameras.intrinsics[0, 0, 0]).to(device) / samples**0.5
    total = torch.zeros(3, size[0] * size[1] * size[2], device=device)
    for (down, right), shift in zip(_SUBPIXELS[samples], _LIGHT_SHIFTS, strict=False):
        offset = torch.tensor(shift if samples > 1 else (0.0, 0.0, 0.0), device=device)[:, None]
        for part, origins, directions in _chunks(*_rays(cameras, down, right, device), compiled=compiled):
            total[:, part] += color_of(scene, table, origins, directions, pixel_angle, offset)[
                :, : part.stop - part.start
            ]
    depth = torch.empty(total.shape[1], device=device)
    for part, origins, directions in _chunks(*_rays(cameras, 0.0, 0.0, device), compiled=compiled):
        depth[part] = depth_of(scene, origins, directions)[: part.stop - part.start]
    return (total / samples).T.reshape(*size, 3), depth.view(size)


def _let_sizes_vary(scene: PackedScene) -> None:
    """Tell torch.compile that the numbers of solids differ between scenes."""
    per_material = (scene.texture, scene.frequency, scene.gloss, scene.emission)
    for tensor in (*scene.unit_from_world, *scene.half_size, *per_material):
        torch._dynamo.mark_dynamic(tensor, 0)
    for tensor in (scene.all_unit_from_world, scene.all_half_size, scene.shape, scene.thing):
        torch._dynamo.mark_dynamic(tensor, 0)
    for tensor in (scene.color, scene.second):
        torch._dynamo.mark_dynamic(tensor, 1)


def _rays(
    cameras: Cameras, down: float, right: float, device: torch.device
) -> tuple[Float[Tensor, "3 R"], Float[Tensor, "3 R"]]:
    """Origins and directions with unit z in the camera, so that the ray parameter is the z-depth."""
    rows = torch.arange(cameras.height, device=device) + 0.5 + down
    columns = torch.arange(cameras.width, device=device) + 0.5 + right
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    intrinsics = cameras.intrinsics.to(device)[:, :, :, None, None]
    x = (u - intrinsics[:, 0, 2]) / intrinsics[:, 0, 0]
    y = (v - intrinsics[:, 1, 2]) / intrinsics[:, 1, 1]
    poses = cameras.world_from_camera.to(device)[:, :3, :, None, None]
    directions = torch.stack([poses[:, i, 0] * x + poses[:, i, 1] * y + poses[:, i, 2] for i in range(3)])
    origins = poses[:, :, 3].transpose(0, 1).expand_as(directions)
    return origins.reshape(3, -1), directions.reshape(3, -1)


def _chunks(
    origins: Float[Tensor, "3 R"], directions: Float[Tensor, "3 R"], *, compiled: bool
) -> Iterator[tuple[slice, Float[Tensor, "3 chunk"], Float[Tensor, "3 chunk"]]]:
    """Pieces of one size, the last one filled up by repeating a ray, and where they belong."""
    count = origins.shape[1]
    size = _chunk_size(count, origins.device, compiled)
    for start in range(0, count, size):
        part = slice(start, min(start + size, count))
        if part.stop - part.start == size:
            piece = origins[:, part].contiguous(), directions[:, part].contiguous()
        else:
            index = torch.arange(start, start + size, device=origins.device).clamp_max(count - 1)
            piece = origins[:, index], directions[:, index]
        if compiled and origins.device.type != "cpu":
            for tensor in piece:
                torch._dynamo.maybe_mark_dynamic(tensor, 1)  # clips of other sizes are to be served by the same code
        yield part, *piece


def _chunk_size(count: int, device: torch.device, compiled: bool) -> int:
    """Rays per call, constant for pictures of one size; on an accelerator compiled code takes equal parts."""
    if device.type == "cpu":
        return CPU_CHUNK
    if not compiled:
        return GPU_CHUNK
    parts = -(-count // COMPILED_GPU_CHUNK)
    return -(-count // parts)
