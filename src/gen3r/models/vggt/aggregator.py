"""VGGT's alternating attention (Wang et al. 2025): tokens of every frame, seen alone and together in turn."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gen3r.models.vggt.blocks import Block
from gen3r.models.vggt.config import VGGTConfig
from gen3r.models.vggt.patch_embed import PATCH_EMBEDS
from gen3r.models.vggt.rope import RotaryTable, rotary_table, token_positions

# B batch, F frames, P tokens of a frame (camera, registers, patches row-major), C width, D = 2C

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


class Aggregator(nn.Module):
    """Patch embedding and `depth` rounds of one frame block and one global block."""

    def __init__(self, config: VGGTConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.embed_dim
        self.patch_embed = PATCH_EMBEDS[config.patch_embed](config)
        # axis 1: the first frame of a sequence, every other frame
        self.camera_token = nn.Parameter(nn.init.normal_(torch.empty(1, 2, 1, dim), std=0.02))
        self.register_token = nn.Parameter(nn.init.normal_(torch.empty(1, 2, config.register_tokens, dim), std=0.02))
        self.frame_blocks = nn.ModuleList(self._block() for _ in range(config.depth))
        self.global_blocks = nn.ModuleList(self._block() for _ in range(config.depth))
        self.gradient_checkpointing = False

    def _block(self) -> Block:
        config = self.config
        return Block(
            config.embed_dim, config.heads, mlp_ratio=config.mlp_ratio, layer_scale=config.layer_scale, qk_norm=True
        )

    def forward(
        self, images: Float[Tensor, "B F 3 H W"], layers: Sequence[int] | None = None
    ) -> list[Float[Tensor, "B F P D"]]:
        """Tokens of the asked rounds (default: the config's four), each [B, F, 5 + gh * gw, 2C], frame half first.

        `images` are RGB in [0, 1] with height and width multiples of the patch size. No other round is kept alive.
        """
        layers = self.config.kept_layers if layers is None else layers
        batch, frames, _, height, width = images.shape
        grid = self.config.token_grid(height, width)
        x = torch.cat([self._special_tokens(batch, frames), self.patch_tokens(images)], dim=2)
        count = x.shape[2]
        positions = token_positions(grid, self.config.special_tokens, images.device)
        frame_rope = rotary_table(positions, self.config.embed_dim // self.config.heads, self.config.rope_base)
        global_rope = frame_rope.repeat(frames)
        kept: dict[int, Tensor] = {}
        for i in range(max(layers) + 1):
            within = self._run(self.frame_blocks[i], x.reshape(batch * frames, count, -1), frame_rope)
            across = self._run(self.global_blocks[i], within.reshape(batch, frames * count, -1), global_rope)
            x = across.reshape(batch, frames, count, -1)
            if i in layers:
                kept[i] = torch.cat([within.reshape(x.shape), x], dim=-1)
        return [kept[i] for i in layers]

    def patch_tokens(self, images: Float[Tensor, "B F 3 H W"]) -> Float[Tensor, "B F n C"]:
        """Embedded patches of every frame, row-major, before any exchange between frames."""
        mean = images.new_tensor(IMAGE_MEAN)[:, None, None]
        std = images.new_tensor(IMAGE_STD)[:, None, None]
        normalised = ((images - mean) / std).to(self.camera_token.dtype)
        return self.patch_embed(normalised.flatten(0, 1)).unflatten(0, images.shape[:2])

    def _special_tokens(self, batch: int, frames: int) -> Tensor:
        special = torch.cat([self.camera_token, self.register_token], dim=2)
        shape = (batch, -1, -1, -1)
        return torch.cat([special[:, :1].expand(shape), special[:, 1:].expand(batch, frames - 1, -1, -1)], dim=1)

    def _run(self, block: nn.Module, x: Tensor, rope: RotaryTable) -> Tensor:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(block, x, rope, use_reentrant=False)
        return block(x, rope)
