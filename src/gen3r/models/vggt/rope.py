"""Two-dimensional rotary positions, computed in float32 whatever the token type."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class RotaryTable(NamedTuple):
    """Cosines and sines [P, head_dim] that rotate queries and keys at P positions."""

    cos: Float[Tensor, "P d"]
    sin: Float[Tensor, "P d"]

    def repeat(self, times: int) -> RotaryTable:
        """The same positions for every frame of a sequence of frames."""
        return RotaryTable(self.cos.repeat(times, 1), self.sin.repeat(times, 1))


def token_positions(grid: tuple[int, int], special: int, device: torch.device) -> Int[Tensor, "P 2"]:
    """(y, x) of every token of a frame: (0, 0) for the special ones, then row-major patches counted from 1."""
    y, x = torch.meshgrid(
        torch.arange(1, grid[0] + 1, device=device), torch.arange(1, grid[1] + 1, device=device), indexing="ij"
    )
    patches = torch.stack([y, x], dim=-1).reshape(-1, 2)
    return torch.cat([patches.new_zeros(special, 2), patches])


def rotary_table(positions: Int[Tensor, "P 2"], head_dim: int, base: float) -> RotaryTable:
    """Angles position * base^(-2j/d), d = head_dim / 2: the first half of a head turns with y, the second with x."""
    half = head_dim // 2
    exponents = torch.arange(0, half, 2, device=positions.device, dtype=torch.float32) / half
    angles = positions.to(torch.float32)[:, :, None] * base**-exponents  # P 2 d/2
    angles = torch.cat([angles, angles], dim=-1).flatten(1)
    return RotaryTable(angles.cos(), angles.sin())


def rotate(x: Float[Tensor, "B heads P d"], table: RotaryTable) -> Float[Tensor, "B heads P d"]:
    """x * cos + turn(x) * sin, where turn maps (a, b) to (-b, a) inside each half of a head."""
    wide = x.to(torch.float32)
    a, b = wide.unflatten(-1, (2, 2, -1)).unbind(-2)
    turned = torch.stack([-b, a], dim=-2).flatten(-3)
    return (wide * table.cos + turned * table.sin).to(x.dtype)
