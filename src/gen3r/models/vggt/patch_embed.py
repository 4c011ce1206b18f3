"""Images to patch tokens: the DINOv2 transformer of the released model, or one convolution for small models."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gen3r.models.vggt.blocks import Block
from gen3r.models.vggt.config import VGGTConfig

# N images, C width, gh gw token grid

POSITION_STRENGTH = 0.7
"""Amplitude of the first positions of the small patch embedding, whose patches have deviation 1."""
LOWEST_WAVE = 0.25
"""Periods per image side."""


def resize_positions(table: Float[Tensor, "1 n C"], grid: tuple[int, int]) -> Float[Tensor, "1 m C"]:
    """Resize a square table of positions [1, side * side, C] to [1, gh * gw, C]: bicubic, antialiased, in float32."""
    side = round(table.shape[1] ** 0.5)
    if grid == (side, side):
        return table
    square = table.to(torch.float32).unflatten(1, (side, side)).permute(0, 3, 1, 2)
    resized = F.interpolate(square, size=grid, mode="bicubic", align_corners=False, antialias=True)
    return resized.flatten(2).transpose(1, 2).to(table.dtype)


def wave_positions(side: int, dim: int) -> Float[Tensor, "1 n C"]:
    """Sines and cosines of y (first half) and x, from a quarter of a period per image to the grid's finest."""
    place = (torch.arange(side) + 0.5) / side
    highest = max(side / 2, 2 * LOWEST_WAVE)
    frequency = torch.logspace(math.log10(LOWEST_WAVE), math.log10(highest), dim // 4)
    phase = 2 * math.pi * frequency * place[:, None]
    wave = torch.cat([phase.sin(), phase.cos()], dim=1)
    y, x = wave[:, None].expand(side, side, -1), wave[None].expand(side, side, -1)
    return torch.cat([y, x], dim=-1).reshape(1, side * side, -1)


class DinoPatchEmbed(nn.Module):
    """DINOv2 ViT with registers (Oquab et al. 2023, Darcet et al. 2023); returns the normed patch tokens."""

    mask_token: Tensor

    def __init__(self, config: VGGTConfig) -> None:
        super().__init__()
        dim, side = config.embed_dim, config.image_size // config.patch_size
        self.projection = nn.Conv2d(3, dim, config.patch_size, stride=config.patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_tokens = nn.Parameter(torch.zeros(1, config.register_tokens, dim))
        self.positions = nn.Parameter(torch.zeros(1, 1 + side * side, dim))
        self.register_buffer("mask_token", torch.zeros(1, dim))  # in every released checkpoint, never read
        self.blocks = nn.ModuleList(
            Block(dim, config.dino_heads, mlp_ratio=config.mlp_ratio, layer_scale=config.dino_layer_scale, eps=1e-6)
            for _ in range(config.dino_depth)
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.gradient_checkpointing = False
        for token in (self.class_token, self.register_tokens, self.positions):
            nn.init.trunc_normal_(token, std=0.02)

    def position_tokens(self, grid: tuple[int, int]) -> Float[Tensor, "1 n C"]:
        """Positions of the class token and of a grid of patches, [1, 1 + gh * gw, C]."""
        return torch.cat([self.positions[:, :1], resize_positions(self.positions[:, 1:], grid)], dim=1)

    def forward(self, images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N n C"]:
        patches = self.projection(images)
        grid = (patches.shape[-2], patches.shape[-1])
        count = images.shape[0]
        x = torch.cat([self.class_token.expand(count, -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        x = x + self.position_tokens(grid)
        x = torch.cat([x[:, :1], self.register_tokens.expand(count, -1, -1), x[:, 1:]], dim=1)
        for block in self.blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return self.norm(x[:, 1 + self.register_tokens.shape[1] :])


class ConvPatchEmbed(nn.Module):
    """One strided convolution and a LayerNorm; then learned positions, resized like DINOv2's.

    Positions start as waves as strong as the patches: beside weak ones a small model learns depth but not where in the
    other view a patch is seen, and so no motion.
    """

    def __init__(self, config: VGGTConfig) -> None:
        super().__init__()
        dim, side = config.embed_dim, config.image_size // config.patch_size
        self.projection = nn.Conv2d(3, dim, config.patch_size, stride=config.patch_size)
        self.positions = nn.Parameter(POSITION_STRENGTH * wave_positions(side, dim))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N n C"]:
        patches = self.projection(images)
        grid = (patches.shape[-2], patches.shape[-1])
        return self.norm(patches.flatten(2).transpose(1, 2) + resize_positions(self.positions, grid))


PATCH_EMBEDS = {"dino": DinoPatchEmbed, "conv": ConvPatchEmbed}
