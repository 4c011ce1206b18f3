"""What a process computes of an optimizer step: forward and backward of its micro-batches, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gen3r.presets.loop import LoopConfig
from gen3r.train.batches import Batches, to_device
from gen3r.train.guards import Stragglers
from gen3r.train.loading import Loader, Places, Slot
from gen3r.train.objectives.base import Objective
from gen3r.train.processes import Processes
from gen3r.train.rng import Rng, derive_seed, generator, sample_generators
from gen3r.train.sharding import Sharing


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of one micro-batch, on the device; parameters have its gradients."""

    slot: Slot
    """Which one it was."""
    terms: Mapping[str, Tensor]
    """The loss, ``total`` first, and its parts."""
    running: Mapping[str, Tensor]
    """Running buffers of the objective, as it moved them."""


@dataclass(frozen=True, kw_only=True)
class Computed:
    """A step up to its gradients."""

    done: list[Done]
    """Micro-batches of this process."""
    values: Tensor
    """Of each of the terms the mean over micro-batches and processes, on the device."""
    running: Mapping[str, Tensor]
    """Running buffers, the mean over this process's micro-batches."""

    @property
    def total(self) -> Tensor:
        """The mean loss."""
        return self.values[0]

    def means(self) -> dict[str, float]:
        """The mean terms, ``total`` first."""
        return dict(zip(self.done[0].terms, self.values.tolist(), strict=True))


class MicroBatches:
    """The micro-batches of one process. Each starts from the same weights and the same running buffers."""

    def __init__(
        self, batches: Batches, config: LoopConfig, places: Places, sharing: Sharing, processes: Processes
    ) -> None:
        self.batches, self.config, self.places = batches, config, places
        self.sharing, self.processes, self.device = sharing, processes, processes.device
        self.loader = Loader(batches, config.prefetch, places.following)
        self.stragglers = Stragglers(processes, config.straggler_every, config.straggler_factor)

    def compute(self, step: int) -> Computed:
        """Add the gradients of all of a step."""
        count = self.places.accumulate
        done = [self.one(self.places.slot(step, micro), last=micro == count - 1) for micro in range(count)]
        names = list(done[0].terms)
        terms = [torch.stack([each.terms[name].float().to(self.device) for name in names]) for each in done]
        running = {
            name: sum((each.running[name] / count for each in done), torch.zeros_like(value))
            for name, value in done[0].running.items()
        }
        return Computed(done=done, values=self.processes.mean(torch.stack(terms).mean(0)), running=running)

    def one(self, slot: Slot, *, last: bool) -> Done:
        """Add the gradients of one; after the ``last`` one processes exchange them."""
        config, positions = self.config, slot.positions(self.batches)
        with self.stragglers.working("loading"):
            batch = to_device(self.loader.get(slot), self.device)
        torch.manual_seed(derive_seed(config.seed, "global", positions[0]))
        rng: Rng = (
            generator(config.seed, "loss", positions[0], device=self.device)
            if config.streams == "batches"
            else sample_generators(config.seed, "loss", positions=positions, device=self.device)
        )

        def lose(objective: Objective) -> dict[str, Tensor]:
            with precision(config, self.device):
                terms = objective.loss(batch, rng)
            return {"total": terms.total} | {name: value.detach() for name, value in terms.parts.items()}

        buffers = dict(self.sharing.objective.running.named_buffers())
        before = {name: value.clone() for name, value in buffers.items()}
        with self.sharing.syncing(last):
            with self.stragglers.working("computing"):
                terms = self.sharing.train(lose)
            self.sharing.backward(terms["total"] / self.places.accumulate)
        running = {name: value.clone() for name, value in buffers.items()}
        for name, value in buffers.items():
            value.copy_(before[name])
        return Done(slot=slot, terms={name: value.detach() for name, value in terms.items()}, running=running)


def precision(config: LoopConfig, device: torch.device) -> torch.autocast:
    """The arithmetic of a forward pass."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")
