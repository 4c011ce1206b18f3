"""Batches as a pure function of step and place in the step, so that the position in the data is the step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

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
    """An endless sequence of samples over ``count`` items, read in batches.

    A sample is a function of its position alone, random decisions included: neither the number of processes nor the
    size of micro-batches changes what an optimizer step sees.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.batch_size, self.seed = batch_size, seed
        self.order = DataOrder(count, seed)

    @abstractmethod
    def make(self, items: Sequence[int], rng: torch.Generator) -> Batch:
        """Load and augment these items; every random decision is drawn from ``rng``."""

    def sample(self, step: int, position: int) -> Batch:
        """The sample at ``position`` of the whole run, as a batch of one.

        ``step`` is the optimizer step it belongs to, for what changes in the course of a run.
        """
        return self.make(self.order.items(position, 1), generator(self.seed, "augment", position))

    def at(self, step: int, first: int = 0, size: int | None = None, total: int | None = None) -> Batch:
        """Samples ``first`` .. ``first + size - 1`` of the ``total`` samples of optimizer step ``step``.

        By default the step is one batch of ``batch_size``. Must be safe to call from several threads.
        """
        return collate([self.sample(step, position) for position in self.positions(step, first, size, total)])

    def positions(self, step: int, first: int = 0, size: int | None = None, total: int | None = None) -> range:
        """Positions in the whole run of the samples that `at` would return."""
        size = size or self.batch_size
        start = step * (total or size) + first
        return range(start, start + size)

    def name(self, position: int) -> str:
        """What to call the sample at ``position`` in messages."""
        return f"item {self.order.items(position, 1)[0]}"


def collate(samples: Sequence[Batch]) -> Batch:
    """One batch of several: tensors joined along their first axis, lists and tuples one after the other."""
    return {name: _joined(name, [sample[name] for sample in samples]) for name in samples[0]}


def _joined(name: str, values: Sequence[Any]) -> Any:
    if all(isinstance(value, Tensor) for value in values):
        return torch.cat(list(values))
    if all(isinstance(value, list | tuple) for value in values):
        return [item for value in values for item in value]
    raise ValueError(f"expected tensors or lists of {name!r} in every sample of a batch, got {set(map(type, values))}.")
