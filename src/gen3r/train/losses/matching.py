"""What two views see in common: supervision that teaches VGGT to find the motion of the camera.

VGGT learns motion along with point tracks (Wang et al. 2025, section 3.4). Small models get the same lesson from exact
depth and cameras: some heads of some global attention blocks must look at the token that sees the same place in the
other view, and a small head, thrown away after training, must tell from each token how far away that place is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import project, unproject
from gen3r.models.vggt import VGGT
from gen3r.models.vggt.blocks import Block
from gen3r.models.vggt.rope import rotary_table, token_positions

# B pairs of views, 2 views, P patch tokens of a view (row-major), N all tokens of a view, C token width of one half

OCCLUSION_TOLERANCE = 0.06
"""A place is hidden where the other view's surface is nearer than it by more than this fraction."""
SKY = 1e3
"""Sky is matched as if it were this many mean depths of the first view away: by rotation alone."""
NEAREST = 1e-2
"""Places nearer to the other camera than this are not in front of it."""


@dataclass(frozen=True, kw_only=True)
class Correspondences:
    """Where the middle of every patch is seen in the other view."""

    position: Float[Tensor, "B 2 P 2"]
    """(x, y) in the other view's image, each from 0 (left, top) to 1."""
    seen: Bool[Tensor, "B 2 P"]
    """Whether it lies inside the other view and nothing is in front of it there."""


def correspondences(depth: Float[Tensor, "B 2 H W"], cameras: Cameras, grid: tuple[int, int]) -> Correspondences:
    """From true z-depth (0 = sky) and cameras [B, 2]; lengths in any unit near the depth of the scene."""
    height, width = depth.shape[-2:]
    rows, columns = height // grid[0], width // grid[1]
    filled = torch.where(depth > 0, depth, SKY)
    points = unproject(filled, cameras)[:, :, rows // 2 :: rows, columns // 2 :: columns].flatten(2, 3)
    other = Cameras(cameras.extrinsics.flip(1), cameras.intrinsics.flip(1), height, width)
    pixels, z = project(points, other)
    position = pixels / pixels.new_tensor([width, height])
    surface = F.grid_sample(
        filled.flip(1).flatten(0, 1)[:, None],
        (position * 2 - 1).clamp(-2, 2).flatten(0, 1)[:, :, None],
        mode="nearest",
        align_corners=False,
    )[:, 0, :, 0].view(z.shape)
    inside = ((position > 0) & (position < 1)).all(dim=-1)
    seen = inside & (z > NEAREST) & (z < surface * (1 + OCCLUSION_TOLERANCE))
    return Correspondences(position=torch.where(seen[..., None], position, 0.5), seen=seen)


def attention_error(
    vggt: VGGT, tokens: Float[Tensor, "B 2 N D"], number: int, heads: int, match: Correspondences, grid: tuple[int, int]
) -> Float[Tensor, ""]:
    """Cross-entropy of the first ``heads`` heads of global block ``number`` with the bilinear weights of the place.

    ``tokens`` are those the aggregator kept of that round: their first half is what the block reads. Every token of
    both views competes.
    """
    config = vggt.config
    block = cast(Block, vggt.aggregator.global_blocks[number])
    positions = token_positions(grid, config.special_tokens, tokens.device)
    rope = rotary_table(positions, config.embed_dim // config.heads, config.rope_base).repeat(2)
    within = tokens[..., : config.embed_dim].flatten(1, 2)
    query, key, _ = block.attn.project(block.norm1(within), rope)
    count, special = tokens.shape[2], config.special_tokens
    query = query[:, :heads].float().unflatten(2, (2, count))[:, :, :, special:]
    logits = torch.einsum("bhvpd,bhnd->bhvpn", query, key[:, :heads].float()) / query.shape[-1] ** 0.5
    likely = logits.log_softmax(dim=-1).unflatten(-1, (2, count))[..., special:]
    across = torch.stack([likely[:, :, 0, :, 1], likely[:, :, 1, :, 0]], dim=2)
    error = -(across * bilinear_weights(match.position, grid)[:, None]).sum(-1)
    return _mean(error, match.seen[:, None].expand_as(error))


def bilinear_weights(position: Float[Tensor, "*b P 2"], grid: tuple[int, int]) -> Float[Tensor, "*b P cells"]:
    """Weights of the four nearest tokens of a grid, which sum to one and whose mean position is ``position``.

    Beyond the middle of the outermost tokens, the mean stays there.
    """
    rows, columns = grid
    size = position.new_tensor([columns, rows])
    cell = (position * size - 0.5).clamp(min=0).minimum(size - 1)
    low, share = cell.floor(), cell - cell.floor()
    weights = position.new_zeros(*position.shape[:-1], rows * columns)
    for right in (0, 1):
        for down in (0, 1):
            x, y = (low[..., 0] + right).clamp(max=columns - 1), (low[..., 1] + down).clamp(max=rows - 1)
            weight = (share[..., 0] if right else 1 - share[..., 0]) * (share[..., 1] if down else 1 - share[..., 1])
            weights.scatter_add_(-1, (y * columns + x).long()[..., None], weight[..., None])
    return weights


class FlowHeads(nn.Module):
    """For each kept round, tokens to where their place is in the other view, relative to their own position."""

    def __init__(self, width: int, rounds: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 2))
            for _ in range(rounds)
        )

    def forward(self, tokens: Sequence[Float[Tensor, "B 2 P D"]]) -> list[Float[Tensor, "B 2 P 2"]]:
        """Shares of the image's width and height."""
        return [head(layer.float()) for head, layer in zip(self.heads, tokens, strict=True)]


def flow_error(
    flows: Sequence[Float[Tensor, "B 2 P 2"]], match: Correspondences, grid: tuple[int, int]
) -> Float[Tensor, ""]:
    """Mean absolute error of both coordinates, summed, over places that both views see."""
    rows, columns = grid
    y, x = torch.meshgrid(
        (torch.arange(rows, device=match.position.device) + 0.5) / rows,
        (torch.arange(columns, device=match.position.device) + 0.5) / columns,
        indexing="ij",
    )
    target = match.position - torch.stack([x, y], dim=-1).view(-1, 2)
    errors = [_mean((flow - target).abs().sum(-1), match.seen) for flow in flows]
    return torch.stack(errors).mean()


def _mean(values: Tensor, mask: Tensor) -> Float[Tensor, ""]:
    return (values * mask).sum() / mask.sum().clamp_min(1)
