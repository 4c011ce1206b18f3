"""What the averaged weights of a run can do: numbers on validation batches, and pictures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor

from gen3r.presets.loop import LoopConfig
from gen3r.train.batches import Batches, to_device
from gen3r.train.ema import EMA
from gen3r.train.micro_batches import precision
from gen3r.train.objectives.base import Objective
from gen3r.train.processes import Processes
from gen3r.train.rng import generator
from gen3r.train.sharding import Sharing

T = TypeVar("T")


class Looks:
    """Looks at the averaged weights between two steps. All processes look, as each may have its share of them."""

    def __init__(self, sharing: Sharing, ema: EMA, config: LoopConfig, processes: Processes) -> None:
        self.sharing, self.ema, self.config, self.processes = sharing, ema, config, processes

    @torch.no_grad()
    def metrics(self, batches: Batches) -> dict[str, float]:
        """Mean metrics of the first ``validation_batches``, shared among the processes; named ``val/...``."""
        count, rank, world = self.config.validation_batches, self.processes.rank, self.processes.world
        device = self.processes.device
        sums: dict[str, float] = {}
        with self.ema.applied():
            for index in range(rank, -(-count // world) * world, world):  # as many for each: shards are gathered by all
                batch = to_device(batches.at(index % count), device)
                rng = generator(self.config.seed, "validation", index % count, device=device)
                metrics = self._look(lambda objective, batch=batch, rng=rng: objective.metrics(batch, rng))
                for name, value in metrics.items():
                    sums[name] = sums.get(name, 0.0) + (value / count if index < count else 0.0)
        values = self.processes.mean(torch.tensor(list(sums.values()), dtype=torch.float64, device=device))
        return {f"val/{name}": value * world for name, value in zip(sums, values.tolist(), strict=True)}

    @torch.no_grad()
    def pictures(self, batches: Batches) -> dict[str, UInt8[Tensor, "height width 3"]]:
        """Pictures of the first batch."""
        device = self.processes.device
        with self.ema.applied():
            batch = to_device(batches.at(0), device)
            rng = generator(self.config.seed, "pictures", device=device)
            return self._look(lambda objective: objective.pictures(batch, rng))

    def _look(self, work: Callable[[Objective], T]) -> T:
        """``work`` without gradients, in the precision of training: that of the weights where they are gathered.

        Blocks that are compiled for training run as they are: sizes differ, and compiling again takes longer.
        """
        self.sharing.objective.eval()
        stance = torch.compiler.set_stance("force_eager") if self.config.compile else nullcontext()
        with precision(self.config, self.processes.device), stance:
            return self.sharing.look(work)
