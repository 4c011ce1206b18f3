"""A small z-buffered point renderer, for pictures of point clouds without a GPU or a window."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import project

_MAX_RADIUS = 24.0
_EMPTY = torch.iinfo(torch.int64).max


def splat(
    points: Float[Tensor, "N 3"], diameters: Float[Tensor, " N"], camera: Cameras
) -> tuple[Int64[Tensor, "H W"], Float32[Tensor, "H W"]]:
    """Which point is seen at each pixel of a single camera.

    Args:
        points: world points.
        diameters: size of each point in the world; it covers a disc of that size, at least one pixel.

    Returns:
        Point index per pixel, -1 where nothing is seen, and its z-depth, infinity there.
    """
    pixels, depth = project(points, camera)
    seen = (depth > 1e-6).nonzero()[:, 0]
    pixels, depth = pixels[seen].float(), depth[seen].float()
    radii = (diameters[seen] * camera.intrinsics[0, 0] / depth / 2).clamp(0.5, _MAX_RADIUS)
    # The nearest point wins: positive floats sort like their bits, so one integer holds depth and index.
    keys = (depth.contiguous().view(torch.int32).long() << 32) | seen
    by_size = radii.argsort(descending=True)
    pixels, radii, keys = pixels[by_size], radii[by_size], keys[by_size]
    cells = pixels.floor().clamp(-1e6, 1e6).long()
    nearest = torch.full((camera.height * camera.width,), _EMPTY, dtype=torch.int64, device=points.device)
    for dx, dy, covering in _disc_offsets(radii):
        x, y = cells[:covering, 0] + dx, cells[:covering, 1] + dy
        inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
        nearest.scatter_reduce_(0, (y * camera.width + x)[inside], keys[:covering][inside], "amin")
    nearest = nearest.view(camera.height, camera.width)
    hit = nearest != _EMPTY
    index = torch.where(hit, nearest & 0xFFFFFFFF, -1)
    z = (nearest >> 32).int().view(torch.float32)
    return index, torch.where(hit, z, torch.inf)


def shaded(
    colors: UInt8[Tensor, "N 3"],
    index: Int64[Tensor, "H W"],
    depth: Float32[Tensor, "H W"],
    *,
    background: tuple[int, int, int],
    strength: float = 6.0,
    reach: int = 2,
) -> UInt8[Tensor, "H W 3"]:
    """Colour a splatted view, darkening points that lie behind a neighbour in the picture.

    Eye-dome lighting (Boucheny 2009): colour * exp(-strength * mean over 8 neighbours at `reach` pixels of
    max(0, log2 depth - log2 neighbour depth)). It shows shape in clouds that have no lighting of their own.
    """
    hit = index >= 0
    log_depth = torch.where(hit, depth, 1.0).log2()
    occlusion = torch.zeros_like(log_depth)
    for dy, dx in ((a, b) for a in (-reach, 0, reach) for b in (-reach, 0, reach) if a or b):
        neighbour, known = _shifted(log_depth, dy, dx), _shifted(hit, dy, dx)
        occlusion += torch.where(known & hit, (log_depth - neighbour).clamp(0, 1), 0.0) / 8
    picture = torch.tensor(background, dtype=torch.float32, device=colors.device).expand(*index.shape, 3).clone()
    picture[hit] = colors[index[hit]].float() * torch.exp(-strength * occlusion[hit])[:, None]
    return picture.round().byte()


def _disc_offsets(radii: Float[Tensor, " N"]) -> list[tuple[int, int, int]]:
    """(dx, dy, how many of the points, largest first, cover that offset)."""
    if not len(radii):
        return []
    reach = int(radii[0])
    ascending = -radii  # radii come sorted from large to small
    offsets = []
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            distance = (dx * dx + dy * dy) ** 0.5
            covering = int(torch.searchsorted(ascending, ascending.new_tensor(-distance), right=True))
            if distance == 0:
                covering = len(radii)
            if covering:
                offsets.append((dx, dy, covering))
    return offsets


def _shifted(picture: Tensor, dy: int, dx: int) -> Tensor:
    """`picture` moved so that each pixel reads its neighbour at (dy, dx); edges repeat."""
    height, width = picture.shape
    rows = (torch.arange(height, device=picture.device) + dy).clamp(0, height - 1)
    columns = (torch.arange(width, device=picture.device) + dx).clamp(0, width - 1)
    return picture[rows][:, columns]
