"""Rotary positions of the joint token grid.

RoFormer (Su et al., 2021), split over time, rows and columns as in Wan. The twist of Gen3R: both halves of the
joint width count their columns from zero, so a geometry token sits exactly where its appearance token sits.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

_THETA = 10000.0


class JointRotaryPosEmbed(nn.Module):
    """Cosines and sines for every token of ``[f, rows, columns]``. Holds no tensors, so no cast can round it.

    Args:
        head_dim: channels of an attention head; split into (time, rows, columns) = (d - 4*(d//6), 2*(d//6), 2*(d//6)).
        patch_size: latent cells per token, (frames, rows, columns).
        shared_halves: restart the columns in the middle of the width.
    """

    def __init__(self, head_dim: int, patch_size: tuple[int, int, int], shared_halves: bool) -> None:
        super().__init__()
        side = 2 * (head_dim // 6)
        self.axis_dims = (head_dim - 2 * side, side, side)
        self.patch_size = patch_size
        self.shared_halves = shared_halves

    def forward(self, latents: Float[Tensor, "B C f h W"]) -> tuple[Tensor, Tensor]:
        """Tables ``[1, tokens, 1, head_dim]`` float32 (cos, sin) on the device of ``latents`` (values unused).

        Each value is repeated for both members of a rotating pair (2i, 2i+1). Angles are float64.
        """
        sizes = [cells // patch for cells, patch in zip(latents.shape[2:], self.patch_size, strict=True)]
        frames, rows, columns = (torch.arange(size, dtype=torch.float64) for size in sizes)
        if self.shared_halves:
            columns = columns[: sizes[2] // 2].repeat(2)
        cosines, sines = [], []
        for axis, (positions, dim) in enumerate(zip((frames, rows, columns), self.axis_dims, strict=True)):
            frequencies = _THETA ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
            angles = torch.outer(positions, frequencies).repeat_interleave(2, dim=1)
            shape = [1, 1, 1, dim]
            shape[axis] = sizes[axis]
            for table, values in ((cosines, angles.cos()), (sines, angles.sin())):
                values = values.to(device=latents.device, dtype=torch.float32)
                table.append(values.view(shape).expand(*sizes, dim))
        return (
            torch.cat(cosines, dim=-1).flatten(0, 2)[None, :, None],
            torch.cat(sines, dim=-1).flatten(0, 2)[None, :, None],
        )


def rotate(
    x: Float[Tensor, "B N heads d"], table: tuple[Float[Tensor, "one N one d"], Float[Tensor, "one N one d"]]
) -> Float[Tensor, "B N heads d"]:
    """Turn the pairs (2i, 2i+1) of every head by their angles, as the attention of the transformer does."""
    cosine, sine = (half[..., ::2] for half in table)
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2)
