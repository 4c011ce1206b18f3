"""Batches as a pure function of the step, so that the position in the data is the step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache

import torch

from gen3r.train.objectives.base import Batch
from gen3r.train.rng import generator


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


class Batches(ABC):
    """An endless, indexable sequence of batches over ``count`` items."""

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.batch_size, self.seed = batch_size, seed
        self.order = DataOrder(count, seed)

    @abstractmethod
    def make(self, items: Sequence[int], rng: torch.Generator) -> Batch:
        """Load and augment these items; every random decision is drawn from ``rng``."""

    def at(self, index: int, rank: int = 0, world: int = 1) -> Batch:
        """Micro-batch number ``index`` of process ``rank`` of ``world``."""
        start = (index * world + rank) * self.batch_size
        return self.make(self.order.items(start, self.batch_size), generator(self.seed, "augment", index, rank))
