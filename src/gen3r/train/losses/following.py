"""Attention that follows the camera: supervision that teaches the joint transformer to move what a view shows.

To continue a view along a camera path, every token must fetch what is to be seen there from tokens of the view. Small
models find that out late from velocities alone; from exact depth and cameras they are told, as VGGT is
(``train.losses.matching``): of some blocks, one head must look at the first latent frame and one at the last, where
these show the same place. Both halves of the latent look at the appearance half, which is where views are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers.models.transformers.transformer_wan import WanTransformerBlock
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.latents.grid import TEMPORAL_STRIDE
from gen3r.latents.joint import split
from gen3r.models.transformer import JointTransformer
from gen3r.models.transformer.rotary import rotate
from gen3r.train.losses.matching import bilinear_weights, correspondences

# n clips, f latent frames, P tokens of one half of a latent frame (row-major), N all tokens, d width of a head

ENDS = 2
"""Latent frames that are looked at, each by one head: the first and the last."""


@dataclass(frozen=True, kw_only=True)
class Sightings:
    """Where the middle of every token is seen in the first and in the last frame of its clip."""

    position: Float[Tensor, "n ends f P 2"]
    """(x, y), each from 0 (left, top) to 1."""
    seen: Bool[Tensor, "n ends f P"]
    """Whether it is seen there; never by a frame in itself."""


@torch.no_grad()
def sightings(depth: Float[Tensor, "n F H W"], cameras: Cameras, grid: tuple[int, int]) -> Sightings:
    """From true z-depth (0 = sky) and cameras [n, F], for ``grid`` tokens; lengths in any unit near the scene's depth.

    A latent frame is represented by the middle one of its frames.
    """
    frames = depth.shape[1]
    count = 1 + (frames - 1) // TEMPORAL_STRIDE
    middles = [0, *(TEMPORAL_STRIDE * k - TEMPORAL_STRIDE // 2 + 1 for k in range(1, count))]
    position = depth.new_full((len(depth), ENDS, count, grid[0] * grid[1], 2), 0.5)
    seen = torch.zeros(position.shape[:-1], dtype=torch.bool, device=depth.device)
    for end, (frame, latent) in enumerate(((0, 0), (frames - 1, count - 1))):
        for k, middle in enumerate(middles):
            if k == latent:
                continue
            pair = torch.tensor([middle, frame], device=depth.device)
            match = correspondences(depth[:, pair], cameras[:, pair], grid)
            position[:, end, k], seen[:, end, k] = match.position[:, 0], match.seen[:, 0]
    return Sightings(position=position, seen=seen)


@contextmanager
def watched(transformer: JointTransformer, blocks: Sequence[int]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Queries and keys [n, N, width] of the self-attention of these blocks, once the transformer has run inside."""
    chosen = [list(cast(Iterable[WanTransformerBlock], transformer.blocks))[at] for at in blocks]
    kept: dict[tuple[int, str], Tensor] = {}
    hooks = []
    for at, block in enumerate(chosen):
        for name in ("norm_q", "norm_k"):

            def keep(module: Any, arguments: Any, output: Tensor, place: tuple[int, str] = (at, name)) -> None:
                kept[place] = output

            hooks.append(getattr(block.attn1, name).register_forward_hook(keep))
    seen: list[tuple[Tensor, Tensor]] = []
    try:
        yield seen
        seen += [(kept[at, "norm_q"], kept[at, "norm_k"]) for at in range(len(chosen))]
    finally:
        for hook in hooks:
            hook.remove()


def following_error(
    transformer: JointTransformer,
    watched: Sequence[tuple[Tensor, Tensor]],
    latents: Float[Tensor, "n C f h joint"],
    found: Sightings,
    halves: int,
) -> Float[Tensor, ""]:
    """Cross-entropy of the first two heads of every watched block with the bilinear weights of the place.

    ``latents`` give sizes only. Every token of every frame competes.
    """
    patch, heads = transformer.settings.patch_size, transformer.settings.num_attention_heads
    frames, rows, wide = (cells // side for cells, side in zip(latents.shape[2:], patch, strict=True))
    numbers = torch.arange(frames * rows * wide, device=latents.device).view(frames, rows, wide)
    parts = [half.reshape(frames, -1) for half in (split(numbers) if halves == 2 else (numbers,))]
    table = transformer.rope(latents)
    weights = bilinear_weights(found.position, (rows, wide // halves))
    errors = []
    for query, key in watched:
        query, key = (rotate(x.unflatten(2, (heads, -1))[:, :, :ENDS].float(), table) for x in (query, key))
        logits = torch.einsum("nqed,nked->neqk", query, key) / query.shape[-1] ** 0.5
        likely = logits.log_softmax(dim=-1)
        for end in range(ENDS):
            views = parts[0][0 if end == 0 else frames - 1]
            for half in parts:
                across = likely[:, end][:, half.flatten()][:, :, views].unflatten(1, (frames, -1))
                error, seen = -(across * weights[:, end]).sum(-1), found.seen[:, end]
                errors.append((error * seen).sum() / seen.sum().clamp_min(1))
    return torch.stack(errors).mean()
