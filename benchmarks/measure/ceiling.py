"""The fastest matrix product of this machine: what achieved speed is measured against, taken in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

SIDES: Mapping[str, tuple[int, ...]] = {"cuda": (4096, 8192, 16384), "cpu": (1024, 2048)}
"""Sides of the square matrices tried, by type of device."""


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """Speed of the best square matrix product."""

    dtype: str
    """Type of the matrices."""
    side: int
    """Rows and columns of the fastest."""
    flops_per_second: float
    """Operations per second, two per multiply-add."""


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_ceiling(
    device: torch.device,
    dtype: torch.dtype,
    repeats: int = 5,
    calls: int = 4,
    clock: Callable[[], float] = time.perf_counter,
) -> Ceiling:
    """Time ``repeats`` times ``calls`` products of each side after a warm-up, and keep the fastest."""
    fastest = []
    for side in SIDES[device.type]:
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        out = a @ b
        seconds = []
        for _ in range(repeats):
            synchronize(device)
            started = clock()
            for _ in range(calls):
                torch.mm(a, b, out=out)
            synchronize(device)
            seconds.append((clock() - started) / calls)
        fastest.append((2 * side**3 / min(seconds), side))
    speed, side = max(fastest)
    return Ceiling(dtype=str(dtype).removeprefix("torch."), side=side, flops_per_second=speed)
