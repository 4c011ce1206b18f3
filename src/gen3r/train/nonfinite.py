"""Why a step with numbers that are not finite must not be taken: whose they are, found by computing it again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gen3r.train.micro_batches import Computed, Done, MicroBatches


def nonfinite(
    step: int, computed: Computed, norm: Tensor, micro_batches: MicroBatches, optimizer: torch.optim.Optimizer
) -> str | None:
    """What is wrong with a step, the same on all processes; None if nothing is.

    Where the ``norm`` of the gradients is not finite, these are lost.
    """
    if not bool(torch.isfinite(computed.total)):
        own = [_report(micro_batches, done, micro_batches.processes.rank) for done in computed.done]
        return _describe_losses(step, [each for several in micro_batches.processes.gather(own) for each in several])
    if not bool(torch.isfinite(norm)):
        names = micro_batches.sharing.bad_gradients(micro_batches.processes)
        return _describe_gradients(step, names, _culprits(step, micro_batches, optimizer))
    return None


def _culprits(step: int, micro_batches: MicroBatches, optimizer: torch.optim.Optimizer) -> list[str]:
    """Compute every micro-batch of the step again, all processes the same one, to see whose gradient is bad."""
    found = []
    for rank in range(micro_batches.places.world):
        for micro in range(micro_batches.places.accumulate):
            micro_batches.sharing.forget(optimizer)
            done = micro_batches.one(micro_batches.places.slot(step, micro, rank), last=True)
            if not bool(torch.isfinite(micro_batches.sharing.clip(1.0))):
                found.append(str(_report(micro_batches, done, rank)))
    micro_batches.sharing.forget(optimizer)
    return found


def _report(micro_batches: MicroBatches, done: Done, rank: int) -> Report:
    batches = micro_batches.batches
    return Report(
        rank=rank,
        samples=tuple(batches.name(position) for position in done.slot.positions(batches)),
        terms={name: float(value) for name, value in done.terms.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one process computed on one micro-batch, in names and numbers."""

    rank: int
    """Of the process."""
    samples: tuple[str, ...]
    """Names of the samples."""
    terms: Mapping[str, float]
    """The loss, ``total`` first, and its parts."""

    @property
    def bad_terms(self) -> list[str]:
        """Names of the terms that are not finite."""
        return [name for name, value in self.terms.items() if not math.isfinite(value)]

    def __str__(self) -> str:
        terms = ", ".join(f"{name} {value:.4g}" for name, value in self.terms.items())
        return f"rank {self.rank}, samples {', '.join(self.samples)}: {terms}"


def _describe_losses(step: int, reports: Sequence[Report]) -> str:
    """Which processes, samples and terms of a step had a loss that is not finite."""
    bad = [report for report in reports if report.bad_terms]
    names = list(dict.fromkeys(name for report in bad for name in report.bad_terms))
    where = "; ".join(str(report) for report in bad[:4])
    return f"loss of step {step} is not finite: {', '.join(names)} ({where}). The weights did not move."


def _describe_gradients(step: int, parameters: Sequence[str], culprits: Sequence[str]) -> str:
    """Which weights of a step had a gradient that is not finite, and from which micro-batches."""
    origin = "; ".join(culprits[:4]) or "computed again every micro-batch gives finite ones, so suspect a device"
    return (
        f"gradient of step {step} is not finite in {', '.join(parameters[:5])} ({len(parameters)} tensors); "
        f"from {origin}. The weights did not move."
    )
