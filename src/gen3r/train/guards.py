"""What stops a run before it spoils or says why it is slow: values that are not finite, slow or silent processes."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from gen3r.train.processes import Processes


class NonFiniteError(RuntimeError):
    """A loss or gradient became NaN or infinite; the weights are those before the step."""


class LostProcessError(RuntimeError):
    """Another process did not answer: it died, hangs, or is far behind."""


def bad_gradients(networks: nn.Module, processes: Processes) -> list[str]:
    """Names of parameters whose gradient is not finite on any process."""
    own = [
        name
        for name, value in networks.named_parameters()
        if value.grad is not None and not bool(_local(value.grad).isfinite().all())
    ]
    return list(dict.fromkeys(name for names in processes.gather(own) for name in names))


def _local(value: Tensor) -> Tensor:
    return value.to_local() if isinstance(value, DTensor) else value


class Stragglers:
    """How long each process worked before it waited for the others, looked at every so many steps.

    Work is loading data and computing losses. With fsdp2 the latter waits for the others' weights, so that there only
    slow loading shows.
    """

    def __init__(self, processes: Processes, every: int, factor: float) -> None:
        self.processes, self.every, self.factor = processes, every, factor
        self.seconds: dict[str, float] = {}
        self.steps = 0

    @contextmanager
    def working(self, part: str) -> Iterator[None]:
        """Count the time of the block as work."""
        started = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started

    def slow(self) -> list[str]:
        """To be called after each step by all; sentences on processes that worked far longer than the median."""
        self.steps += 1
        if not self.every or not self.processes.several or self.steps % self.every:
            return []
        own = {part: seconds / self.every for part, seconds in self.seconds.items()}
        self.seconds = {}
        reports: list[dict[str, Any]] = self.processes.gather({"host": platform.node(), "parts": own})
        totals = [sum(report["parts"].values()) for report in reports]
        median = statistics.median_low(totals)
        return [
            f"rank {rank} on {report['host']} works {total:.3g} s per step, the median is {median:.3g} s "
            f"({', '.join(f'{part} {seconds:.3g} s' for part, seconds in report['parts'].items())})"
            for rank, (report, total) in enumerate(zip(reports, totals, strict=True))
            if total > self.factor * median
        ]


@contextmanager
def answering(processes: Processes, step: Callable[[], int]) -> Iterator[None]:
    """Say in words when what goes wrong inside, in the step that ``step`` tells, is that another process is gone."""
    try:
        yield
    except NonFiniteError:
        raise
    except RuntimeError as error:
        if not processes.several or not _is_lost(error):
            raise
        raise LostProcessError(
            f"rank {processes.rank} on {platform.node()} heard nothing of another process in step {step()}: it died, "
            f"hangs, or is more than {processes.patience:.0f} s behind. See the other processes' output; the newest "
            "checkpoint is whole, go on with --resume."
        ) from error


def _is_lost(error: RuntimeError) -> bool:
    if isinstance(error, torch.distributed.DistError):
        return True
    words = ("timed out", "timeout", "connection closed", "connection reset", "broken pipe", "aborted", "gloo")
    return any(word in str(error).lower() for word in words)
