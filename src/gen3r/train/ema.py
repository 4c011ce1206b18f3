"""An exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


class EMA:
    """average <- d * average + (1 - d) * weight, with d = min(decay, (1 + step) / (10 + step)).

    The ramp lets the average forget the random start. Trained parameters are averaged in their own type and place:
    where a process holds its share of a weight, it holds the same share of the average. Buffers are copied. Frozen
    parameters are their own average and take no room, and with a decay of 0 so are all.
    """

    def __init__(self, networks: nn.Module, decay: float) -> None:
        self.networks, self.decay = networks, decay
        self.average = {name: value.detach().clone() if decay else value for name, value in self._own().items()}

    def _own(self) -> dict[str, Tensor]:
        frozen = {name for name, value in self.networks.named_parameters() if not value.requires_grad}
        return {name: value for name, value in self.networks.state_dict().items() if name not in frozen}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after optimizer step number ``step`` (from 0) into the average."""
        if not self.decay:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, values = [], []
        for name, value in self._own().items():
            average = self.average[name]
            if not average.is_floating_point():
                average.copy_(value)
            elif isinstance(average, DTensor):
                average.lerp_(value, 1 - decay)
            else:
                averages.append(average)
                values.append(value)
        if averages:
            torch._foreach_lerp_(averages, values, 1 - decay)  # all of them in a few kernels

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the networks hold the averaged weights; afterwards their own again."""
        if not self.decay:
            yield
            return
        weights = self._own()
        own = {name: value.detach().clone() for name, value in weights.items()}
        _copy(weights, self.average)
        try:
            yield
        finally:
            _copy(self._own(), own)


@torch.no_grad()
def _copy(into: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    for name, value in values.items():
        into[name].copy_(value)
