"""An exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """average <- d * average + (1 - d) * weight, with d = min(decay, (1 + step) / (10 + step)).

    The ramp lets the average forget the random start. Buffers are copied, not averaged.
    """

    def __init__(self, networks: nn.Module, decay: float) -> None:
        self.networks, self.decay = networks, decay
        self.average = {name: value.detach().clone() for name, value in networks.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after optimizer step number ``step`` (from 0) into the average."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self.networks.state_dict().items():
            average = self.average[name]
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    def load(self, average: dict[str, Tensor]) -> None:
        """Restore the average of a checkpoint; the names must be the same."""
        if set(average) != set(self.average):
            raise ValueError(
                f"the averaged weights differ from the networks in {sorted(set(average) ^ set(self.average))[:8]}."
            )
        for name, value in average.items():
            self.average[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the networks hold the averaged weights; afterwards their own again."""
        own = {name: value.detach().clone() for name, value in self.networks.state_dict().items()}
        self.networks.load_state_dict(self.average)
        try:
            yield
        finally:
            self.networks.load_state_dict(own)
