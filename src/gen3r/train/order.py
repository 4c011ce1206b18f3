"""Which item stands at which position of the endless data of a run."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch

from gen3r.train.rng import generator


@runtime_checkable
class Order(Protocol):
    """Items by position, a pure function."""

    def items(self, start: int, size: int) -> list[int]:
        """The items at positions start .. start + size - 1."""
        ...


class DataOrder:
    """Every epoch is a permutation of ``count`` items drawn from (seed, epoch); positions run on over the epochs."""

    def __init__(self, count: int, seed: int) -> None:
        if count < 1:
            raise ValueError("expected at least one training item, got none; check the data files.")
        self.count, self.seed = count, seed
        self._epoch = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> list[int]:
        return torch.randperm(self.count, generator=generator(self.seed, "order", epoch)).tolist()

    def items(self, start: int, size: int) -> list[int]:
        """The items at positions start .. start + size - 1."""
        return [self._epoch(position // self.count)[position % self.count] for position in range(start, start + size)]


class EveryPosition:
    """Every position is an item of its own: for sources that draw what stands there."""

    def items(self, start: int, size: int) -> list[int]:
        """The positions themselves."""
        return list(range(start, start + size))
