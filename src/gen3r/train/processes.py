"""The processes of a run: who this one is, and what they tell each other. One process alone talks to nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor

T = TypeVar("T")


class Processes:
    """The processes that ``torchrun`` or ``accelerate launch`` started, or this one alone."""

    def __init__(self, patience: float = 1800.0) -> None:
        """Join them; a process that is not heard of for ``patience`` seconds fails those that wait for it."""
        state = PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(seconds=patience))
        self.device = cast(torch.device, state.device)
        self.rank, self.world = int(state.process_index), int(state.num_processes)
        self.patience = patience

    @property
    def main(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.world > 1

    def wait(self) -> None:
        """Until all are here."""
        if self.several:
            dist.barrier()

    def once(self, work: Callable[[], None]) -> None:
        """Have the main process do what takes long, while the others wait however long it takes."""
        if not self.several:
            return work()
        group = cast(dist.ProcessGroup, dist.new_group(backend="gloo", timeout=timedelta(days=7)))
        if self.main:
            work()
        dist.barrier(group)
        dist.destroy_process_group(group)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes."""
        if self.several:
            dist.all_reduce(values)
            values = values / self.world
        return values

    def gather(self, value: T) -> list[T]:
        """What each of them has, in the order of their ranks."""
        if not self.several:
            return [value]
        gathered: list[Any] = [None] * self.world
        dist.all_gather_object(gathered, value)
        return gathered

    @cached_property
    def aside(self) -> dist.ProcessGroup | None:
        """A second line for a background thread, over host memory. The first use is one of all processes."""
        if not self.several:
            return None
        return cast(dist.ProcessGroup, dist.new_group(backend="gloo", timeout=timedelta(seconds=self.patience)))
