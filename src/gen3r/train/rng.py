"""Random numbers as a pure function of (seed, stream, position): resuming needs no generator state at all."""

from __future__ import annotations

import hashlib

import torch


def derive_seed(*key: int | str) -> int:
    """A 63-bit seed from any tuple of integers and names; different keys give independent streams."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for the stream named by ``key``."""
    return torch.Generator(device=device).manual_seed(derive_seed(*key))


def uniform(rng: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    """One number in [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=rng, device=rng.device))


def integer(rng: torch.Generator, low: int, high: int) -> int:
    """One integer in [low, high)."""
    return int(torch.randint(low, high, (), generator=rng, device=rng.device))
