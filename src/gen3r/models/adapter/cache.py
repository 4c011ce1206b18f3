"""The state that makes streamed causal layers equal to one pass over the whole sequence."""

from __future__ import annotations

from torch import Tensor, nn


class TemporalCache:
    """The last input frames of every causal layer, for one sequence; flat in the number of frames.

    Make a new one for each sequence and pass it to each call in order. A layer without an entry is at its start.
    """

    def __init__(self) -> None:
        self._past: dict[nn.Module, Tensor] = {}

    def __contains__(self, layer: nn.Module) -> bool:
        return layer in self._past

    def __getitem__(self, layer: nn.Module) -> Tensor:
        return self._past[layer]

    def keep(self, layer: nn.Module, x: Tensor, frames: int) -> None:
        """Remember the last `frames` frames (axis 2) of x, as a copy that does not hold x."""
        self._past[layer] = x[:, :, x.shape[2] - frames :].clone()

    @property
    def numbers(self) -> int:
        """How many numbers are held."""
        return sum(past.numel() for past in self._past.values())
