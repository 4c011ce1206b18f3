"""Micro-batches in time: prepared ahead by threads, as every one is a function of its place alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from gen3r.presets.loop import LoopConfig
from gen3r.train.batches import Batches
from gen3r.train.objectives.base import Batch

MOST_THREADS = 8


@dataclass(frozen=True)
class Slot:
    """A micro-batch: samples ``first`` .. ``first + size - 1`` of the ``total`` of optimizer step ``step``."""

    step: int
    first: int
    size: int
    total: int

    def positions(self, batches: Batches) -> range:
        """Positions of the samples in the whole run."""
        return batches.positions(self.step, self.first, self.size, self.total)


@dataclass(frozen=True)
class Places:
    """Which micro-batches of a step are those of which process."""

    size: int
    """Samples of a micro-batch."""
    accumulate: int
    """Micro-batches of each process."""
    rank: int
    """Of this process."""
    world: int
    """How many there are."""

    @property
    def total(self) -> int:
        """Samples of a step."""
        return self.size * self.accumulate * self.world

    def slot(self, step: int, micro: int, rank: int | None = None) -> Slot:
        """Micro-batch number ``micro`` of this process, or of another one."""
        rank = self.rank if rank is None else rank
        return Slot(step, (rank * self.accumulate + micro) * self.size, self.size, self.total)

    def following(self, slot: Slot) -> Slot:
        """The one that this process computes after ``slot``."""
        micro = slot.first // slot.size % self.accumulate + 1
        return self.slot(slot.step + micro // self.accumulate, micro % self.accumulate)


def micro_steps(loop: LoopConfig, batch_size: int, processes: int, begun_with: int | None = None) -> int:
    """Micro-batches of each process per optimizer step.

    Args:
        loop: says how many samples a step has.
        batch_size: samples of a micro-batch.
        processes: how many share the step.
        begun_with: samples per step of the run that is resumed; these are kept.

    Raises:
        ValueError: if so many samples cannot be shared evenly.
    """
    at_once = batch_size * processes
    samples = begun_with or loop.global_batch or at_once * loop.accumulate
    if samples % at_once:
        raise ValueError(
            f"a step of {samples} samples cannot be shared by {processes} processes in micro-batches of {batch_size}; "
            f"choose --batch-size and the number of processes so that their product divides {samples}."
        )
    return samples // at_once


class Loader:
    """Gives the batch of a slot, and has those of the next ones prepared meanwhile."""

    def __init__(self, batches: Batches, ahead: int, following: Callable[[Slot], Slot]) -> None:
        """``following`` tells which slot this process asks for after another."""
        self.batches, self.ahead, self.following = batches, ahead, following
        self.pool = ThreadPoolExecutor(min(ahead, MOST_THREADS), "load") if ahead else None
        self.waiting: dict[Slot, Future[Batch]] = {}

    def get(self, slot: Slot) -> Batch:
        """The batch of ``slot``."""
        if self.pool is None:
            return self._read(slot)
        wanted = [slot, *self._next(slot)]
        self.waiting = {each: self.waiting.get(each) or self.pool.submit(self._read, each) for each in wanted}
        return self.waiting.pop(slot).result()

    def _next(self, slot: Slot) -> Iterator[Slot]:
        for _ in range(self.ahead):
            slot = self.following(slot)
            yield slot

    def _read(self, slot: Slot) -> Batch:
        return self.batches.at(slot.step, slot.first, slot.size, slot.total)

    def close(self) -> None:
        """Forget what was prepared ahead."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
