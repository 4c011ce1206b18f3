"""Batches as a pure function of step and place in the step, so that the position in the data is the step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gen3r.train.objectives.base import Batch
from gen3r.train.order import DataOrder, Order
from gen3r.train.rng import generator


class Batches(ABC):
    """An endless sequence of samples, read in batches.

    A sample is a function of its position alone, random decisions included: neither the number of processes nor the
    size of micro-batches changes what an optimizer step sees. With ``whole``, a micro-batch decides as one instead,
    with the stream of its first sample: fewer and larger operations.
    """

    whole = False

    def __init__(self, items: int | Order, batch_size: int, seed: int) -> None:
        """``items``: which of them stands where, or how many there are, to be taken in shuffled epochs."""
        self.batch_size, self.seed = batch_size, seed
        self.order = DataOrder(items, seed) if isinstance(items, int) else items

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
        positions = self.positions(step, first, size, total)
        if self.whole:
            return self.several(step, positions)
        return collate([self.sample(step, position) for position in positions])

    def several(self, step: int, positions: range) -> Batch:
        """The samples at these positions, decided upon together."""
        rng = generator(self.seed, "augment", positions[0])
        return self.make(self.order.items(positions[0], len(positions)), rng)

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


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move the tensors of a batch."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }


def _joined(name: str, values: Sequence[Any]) -> Any:
    if all(isinstance(value, Tensor) for value in values):
        return torch.cat(list(values))
    if all(isinstance(value, list | tuple) for value in values):
        return [item for value in values for item in value]
    raise ValueError(f"expected tensors or lists of {name!r} in every sample of a batch, got {set(map(type, values))}.")
