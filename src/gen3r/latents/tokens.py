"""VGGT's four token layers and its camera token, as one volume over the frames, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

# B batch, F frames, P tokens of a frame (specials, then patches row-major), D token width, gh gw token grid
# volume channels: patches of layer 0 | 1 | 2 | 3 | camera token of layer 3, D each

LAYERS = 4
SPECIAL_TOKENS = 5


def pack_tokens(
    layers: Sequence[Float[Tensor, "B F P D"]], grid: tuple[int, int], special_tokens: int = SPECIAL_TOKENS
) -> Float[Tensor, "B D5 F gh gw"]:
    """The geometry tokens [B, 5D, F, gh, gw] that the adapter encodes.

    Special tokens are dropped, but for the camera token (token 0) of the last layer, which is repeated over the grid.
    """
    if len(layers) != LAYERS:
        raise ValueError(f"expected the {LAYERS} kept token layers, got {len(layers)}.")
    batch, frames, count, width = layers[0].shape
    if count != special_tokens + grid[0] * grid[1]:
        raise ValueError(
            f"expected {special_tokens} + {grid[0]}x{grid[1]} tokens per frame, got {count}; pass their grid."
        )
    volume = layers[0].new_empty(batch, (LAYERS + 1) * width, frames, *grid)
    for i, layer in enumerate(layers):
        patches = layer[:, :, special_tokens:].unflatten(2, grid)
        volume[:, i * width : (i + 1) * width] = patches.permute(0, 4, 1, 2, 3)
    volume[:, LAYERS * width :] = layers[-1][:, :, 0].transpose(1, 2)[..., None, None]
    return volume


def split_volume(
    volume: Float[Tensor, "B D5 F gh gw"],
) -> tuple[Float[Tensor, "B D4 F gh gw"], Float[Tensor, "B D F"]]:
    """The patch tokens of the four layers, and the camera token: the mean over the grid of the last D channels."""
    width, rest = divmod(volume.shape[1], LAYERS + 1)
    if rest:
        raise ValueError(f"a token volume has {LAYERS + 1} blocks of channels, got {volume.shape[1]} channels.")
    return volume[:, : LAYERS * width], volume[:, LAYERS * width :].mean(dim=(-2, -1))


def unpack_tokens(
    volume: Float[Tensor, "B D5 F gh gw"], special_tokens: int = SPECIAL_TOKENS, *, camera_in_all: bool = True
) -> list[Float[Tensor, "B F P D"]]:
    """The four layers that the heads read, each [B, F, 5 + gh * gw, D].

    Every special token is the camera token in all four layers, as the official sampler does, or with
    `camera_in_all=False` in the last layer only and zero before, as the official trainer does. The heads read the
    camera token of the last layer and the patches, so both give the same outputs.
    """
    patches, camera = split_volume(volume)
    special = camera.transpose(1, 2).unsqueeze(2).expand(-1, -1, special_tokens, -1)
    layers = []
    for i, block in enumerate(patches.chunk(LAYERS, dim=1)):
        with_camera = camera_in_all or i == LAYERS - 1
        head = special if with_camera else torch.zeros_like(special)
        layers.append(torch.cat([head, block.permute(0, 2, 3, 4, 1).flatten(2, 3)], dim=2))
    return layers
