"""A texture straight from the frames: every triangle takes its colours from the frame that sees it best."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from gen3r.cameras.projection import project
from gen3r.scene.mesh.mesh import Texture
from gen3r.scene.mesh.paint import views_of
from gen3r.scene.scene import Scene

_CELL = 4  # pixels of the plain square of a triangle that no frame sees whole
_SMOOTHING = 6  # rounds in which neighbouring triangles agree on a frame


def frame_texture(
    vertices: Float32[Tensor, "V 3"],
    faces: Int64[Tensor, "T 3"],
    normals: Float32[Tensor, "V 3"],
    colors: UInt8[Tensor, "V 3"],
    scene: Scene,
    *,
    tolerance: float,
    max_size: int,
) -> Texture:
    """Lay the frames side by side in one picture and point every triangle into one of them.

    Pixels are those of the frames, unblended, so nothing blurs where frames disagree; neighbours prefer the same frame,
    which leaves few seams. Triangles that no frame sees whole get a small square of their vertex colour.

    Args:
        tolerance: see `paint.surface_colors`.
        max_size: edge of the picture in pixels at most; if not all frames fit, evenly spaced ones are used, and a
            single frame is used whole whatever its size.
    """
    frames = _chosen_frames(scene, max_size)
    pixels, worth = zip(*(_corners(vertices, faces, normals, scene, index, tolerance) for index in frames), strict=True)
    scores = torch.stack(worth)
    seen = scores > 0
    smooth = torch.stack([_smoothed(score, faces, len(vertices)) for score in scores])
    best = torch.where(seen, smooth, -1.0).argmax(dim=0)
    hidden = ~seen.any(dim=0)
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    width = columns * scene.width
    per_row = max(1, width // _CELL)
    extra = _CELL * math.ceil(int(hidden.sum()) / per_row)
    image = torch.zeros(rows * scene.height + extra, width, 3, dtype=torch.uint8)
    for slot, index in enumerate(frames):
        top, left = slot // columns * scene.height, slot % columns * scene.width
        image[top : top + scene.height, left : left + scene.width] = scene.rgb[index]
    inside = torch.stack(pixels)[best, torch.arange(len(faces))]
    corner = torch.stack([best % columns * scene.width, best // columns * scene.height], dim=-1)
    place = inside.maximum(torch.tensor(0.5)).minimum(torch.tensor([scene.width - 0.5, scene.height - 0.5]))
    place = place + corner[:, None]
    cell = torch.arange(int(hidden.sum()))
    left, top = cell % per_row * _CELL, rows * scene.height + cell // per_row * _CELL
    plain = colors[faces[hidden]].float().mean(dim=1).round().byte()
    for down in range(_CELL):
        for right in range(_CELL):
            image[top + down, left + right] = plain
    place[hidden] = (torch.stack([left, top], dim=-1) + _CELL / 2).float()[:, None]
    u, v = place[..., 0] / image.shape[1], 1 - place[..., 1] / image.shape[0]
    return Texture(uv=torch.stack([u, v], dim=-1).float(), image=image)


def _chosen_frames(scene: Scene, max_size: int) -> list[int]:
    fitting = max(1, (max_size // scene.width) * (max_size // scene.height))
    count = min(scene.frames, fitting)
    return torch.linspace(0, scene.frames - 1, count).round().long().unique().tolist()


def _corners(
    vertices: Float32[Tensor, "V 3"],
    faces: Int64[Tensor, "T 3"],
    normals: Float32[Tensor, "V 3"],
    scene: Scene,
    index: int,
    tolerance: float,
) -> tuple[Float32[Tensor, "T 3 2"], Float[Tensor, " T"]]:
    """Where the corners of the triangles lie in a frame, and how well it sees them; 0 where it misses a corner."""
    pixels, _ = project(vertices, scene.cameras[index])
    worth = views_of(vertices, normals, scene, index, tolerance)
    return pixels.nan_to_num(0.0, 0.0, 0.0)[faces], worth[faces].amin(dim=1)


def _smoothed(values: Float[Tensor, " T"], faces: Int64[Tensor, "T 3"], vertices: int) -> Float[Tensor, " T"]:
    count = torch.zeros(vertices).index_add_(0, faces.flatten(), torch.ones(faces.numel()))
    for _ in range(_SMOOTHING):
        total = torch.zeros(vertices).index_add_(0, faces.flatten(), values.repeat_interleave(3))
        values = (total / count.clamp_min(1))[faces].mean(dim=1)
    return values


def split_vertices(
    faces: Int64[Tensor, "T 3"], uv: Float32[Tensor, "T 3 2"]
) -> tuple[Int64[Tensor, " W"], Int64[Tensor, "T 3"], Float32[Tensor, "W 2"]]:
    """One vertex for every place in the texture, for formats that want one index for both.

    Returns: which vertex each new one is, the triangles over the new ones, and their places in the texture.
    """
    texels = (uv.double().reshape(-1, 2) * 2**20).round().long()
    rows = torch.cat([faces.reshape(-1, 1), texels], dim=1)
    distinct, index = torch.unique(rows, dim=0, return_inverse=True)
    places = torch.empty(len(distinct), 2)
    places[index] = uv.reshape(-1, 2)
    return distinct[:, 0], index.reshape(-1, 3), places
