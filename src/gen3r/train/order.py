"""Which item stands at which position of the endless data of a run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch

from gen3r.data.mixture import Mixture
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


class Chosen:
    """Some items alone, every one once per shuffled epoch."""

    def __init__(self, items: Sequence[int], seed: int) -> None:
        self.chosen, self.order = tuple(items), DataOrder(len(items), seed)

    def items(self, start: int, size: int) -> list[int]:
        """Items of their shuffled epochs."""
        return [self.chosen[number] for number in self.order.items(start, size)]


class Weighted:
    """Groups of items, drawn by weight and then each item alike, at every position for itself."""

    def __init__(self, groups: Sequence[Sequence[int]], weights: Sequence[float], seed: int) -> None:
        self.groups = tuple(tuple(group) for group in groups)
        self.mixture = Mixture([len(group) for group in groups], weights, seed)

    def items(self, start: int, size: int) -> list[int]:
        """What is drawn at these positions."""
        drawn = [self.mixture.draw(position) for position in range(start, start + size)]
        return [self.groups[group][number] for group, number in drawn]
