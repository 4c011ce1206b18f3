"""A linear causal code for video: what a principal component analysis of 8x8x4 blocks can do, written as convolutions.

The first frame is coded by itself (8x8 blocks), every later group of four frames together (8x8x4 blocks), so the layout
in time is the Wan VAE's. Each map may read a little beyond its block: the encoder a pixel margin and the frame before
the group, the decoder neighbouring latent cells and the latent before. ``fit_linear_shortcut`` sets the weights by PCA.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gen3r.models.vae.config import SPATIAL_FACTOR, TEMPORAL_FACTOR

GROUP = TEMPORAL_FACTOR
BLOCK = SPATIAL_FACTOR


class LinearVideoCode(nn.Module):
    """Linear encoder and decoder between video in -1..1 and ``channels`` latents per 8x8x4 block.

    Channels of a later group are (frame before, frames 1..4) x RGB for the encoder, frames 1..4 x RGB for the decoder.
    """

    def __init__(self, channels: int, margin: int = 4, reach: int = 1) -> None:
        super().__init__()
        self.channels, self.margin, self.reach = channels, margin, reach
        size = BLOCK + 2 * margin
        self.encode_first = nn.Conv2d(3, channels, size, stride=BLOCK)
        self.encode_group = nn.Conv2d(3 * (1 + GROUP), channels, size, stride=BLOCK)
        cells = 2 * reach + 1
        self.decode_first = nn.Conv2d(channels, 3 * BLOCK**2, cells)
        self.decode_group = nn.Conv2d(2 * channels, 3 * GROUP * BLOCK**2, cells)

    def encode(self, video: Float[Tensor, "b 3 frames height width"]) -> Float[Tensor, "b z f h w"]:
        """Video in -1..1 with 4k+1 frames to latents."""
        batch, _, frames, height, width = video.shape
        groups = (frames - 1) // GROUP
        first = self.encode_first(self._pad(video[:, :, 0], self.margin))[:, :, None]
        if not groups:
            return first
        windows = torch.stack([video[:, :, GROUP * k : GROUP * k + 1 + GROUP] for k in range(groups)], dim=1)
        stacked = windows.transpose(2, 3).reshape(batch * groups, 3 * (1 + GROUP), height, width)
        later = self.encode_group(self._pad(stacked, self.margin)).unflatten(0, (batch, groups)).transpose(1, 2)
        return torch.cat([first, later], dim=2)

    def decode(self, latents: Float[Tensor, "b z f h w"]) -> Float[Tensor, "b 3 frames height width"]:
        """Latents to video, unclamped."""
        batch, _, count, _, _ = latents.shape
        first = functional.pixel_shuffle(self.decode_first(self._pad(latents[:, :, 0], self.reach)), BLOCK)[:, :, None]
        if count == 1:
            return first
        pairs = torch.cat([latents[:, :, 1:], latents[:, :, :-1]], dim=1).transpose(1, 2).flatten(0, 1)
        pixels = functional.pixel_shuffle(self.decode_group(self._pad(pairs, self.reach)), BLOCK)
        frames = pixels.unflatten(1, (GROUP, 3)).unflatten(0, (batch, count - 1)).flatten(1, 2)
        return torch.cat([first, frames.transpose(1, 2)], dim=2)

    @staticmethod
    def _pad(image: Tensor, margin: int) -> Tensor:
        return functional.pad(image, (margin,) * 4, mode="replicate") if margin else image
