"""Random numbers as a pure function of (seed, stream, position): resuming needs no generator state at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Rng = torch.Generator | Sequence[torch.Generator]
"""One stream for a batch, or one per sample, so that what a sample gets does not depend on its batch."""


def derive_seed(*key: int | str) -> int:
    """A 63-bit seed from any tuple of integers and names; different keys give independent streams."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for the stream named by ``key``."""
    return torch.Generator(device=device).manual_seed(derive_seed(*key))


def on_device(rng: torch.Generator, device: torch.device) -> torch.Generator:
    """The stream itself, or one of another device that begins where it is, for numbers by the million."""
    if rng.device.type == device.type:
        return rng
    return torch.Generator(device=device).manual_seed(integer(rng, 0, 2**62))


def uniform(rng: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    """One number in [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=rng, device=rng.device))


def integer(rng: torch.Generator, low: int, high: int) -> int:
    """One integer in [low, high)."""
    return int(torch.randint(low, high, (), generator=rng, device=rng.device))


def sample_generators(*key: int | str, positions: Sequence[int], device: torch.device | str = "cpu") -> Rng:
    """A generator for each of the samples at ``positions``, for the streams named by ``key`` and the position."""
    return [generator(*key, position, device=device) for position in positions]


def first_generator(rng: Rng) -> torch.Generator:
    """The stream for a decision that is one for the whole batch: that of its first sample."""
    return rng if isinstance(rng, torch.Generator) else rng[0]


def normal(shape: Sequence[int], rng: Rng, device: torch.device | str) -> Tensor:
    """Standard normal numbers; the first axis of ``shape`` is the batch."""
    return _drawn(torch.randn, shape, rng, device)


def uniforms(shape: Sequence[int], rng: Rng, device: torch.device | str) -> Tensor:
    """Numbers in [0, 1); the first axis of ``shape`` is the batch."""
    return _drawn(torch.rand, shape, rng, device)


def _drawn(draw: Callable[..., Tensor], shape: Sequence[int], rng: Rng, device: torch.device | str) -> Tensor:
    if isinstance(rng, torch.Generator):
        return draw(*shape, generator=rng, device=rng.device).to(device)
    if len(rng) != shape[0]:
        raise ValueError(f"expected one generator per sample, got {len(rng)} for a batch of {shape[0]}.")
    return torch.cat([draw(1, *shape[1:], generator=each, device=each.device) for each in rng]).to(device)
