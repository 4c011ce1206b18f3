"""Seconds and peak device memory of the networks of a run, taken around their forward passes."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from measure.ceiling import synchronize

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Watched:
    """What one network has done so far."""

    seconds: float = 0.0
    """Time inside its forward passes, moves of its own weights included."""
    calls: int = 0
    """Forward passes."""
    peak_bytes: int = 0
    """Most device memory allocated while it ran, everything else that was there included; 0 on the CPU."""


class Stopwatch:
    """Watches networks from outside, by hooks. The device is waited for at both ends of every forward pass."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.watched: dict[str, Watched] = {}
        self.peak_allocated = self.peak_reserved = 0
        self._started: dict[str, float] = {}
        self._handles: list[Any] = []

    def watch(self, networks: Mapping[str, nn.Module]) -> None:
        """Begin to watch networks under these names; none of them may contain another."""
        for name, network in networks.items():
            self.watched[name] = Watched()
            self._handles += [
                network.register_forward_pre_hook(lambda module, inputs, name=name: self._enter(name)),
                network.register_forward_hook(lambda module, inputs, output, name=name: self._leave(name)),
            ]

    def reset(self) -> None:
        """Forget what was seen so far."""
        self.watched = {name: Watched() for name in self.watched}
        self.peak_allocated = self.peak_reserved = 0
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def close(self) -> None:
        """Leave the networks as they were, and take the last peak."""
        self._take_peak()
        for handle in self._handles:
            handle.remove()

    def _enter(self, name: str) -> None:
        synchronize(self.device)
        self._take_peak()
        self._started[name] = time.perf_counter()

    def _leave(self, name: str) -> None:
        synchronize(self.device)
        seen = self.watched[name]
        seconds = time.perf_counter() - self._started.pop(name)
        seen.seconds += seconds
        seen.calls += 1
        logger.info("%s: %.3f s", name, seconds)
        seen.peak_bytes = max(seen.peak_bytes, self._take_peak())

    def _take_peak(self) -> int:
        """Device memory allocated at most since the last call."""
        if self.device.type != "cuda":
            return 0
        allocated = torch.cuda.max_memory_allocated(self.device)
        self.peak_allocated = max(self.peak_allocated, allocated)
        self.peak_reserved = max(self.peak_reserved, torch.cuda.max_memory_reserved(self.device))
        torch.cuda.reset_peak_memory_stats(self.device)
        return allocated
