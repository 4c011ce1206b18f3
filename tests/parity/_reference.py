"""Weights and inputs that goldens describe instead of shipping: drawn from (seed, CRC-32 of the name), float32."""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def _normal(label: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    generator = np.random.default_rng((seed, zlib.crc32(label.encode())))
    return np.asarray(generator.standard_normal(shape, dtype=np.float32))


def reference_weight(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """One parameter by its full official name.

    Gains (scalars, vectors that are no bias, anything called gamma) are 1 + 0.1 N; biases 0.02 N; matrices and kernels
    N / sqrt(fan-in).
    """
    noise = _normal(name, shape, seed)
    leaf = name.split(".")[-1]
    is_bias = len(shape) == 1 and leaf == "bias" and "." in name
    if leaf == "gamma" or (len(shape) < 2 and not is_bias):
        value = 1 + np.float32(0.1) * noise
    elif is_bias:
        value = np.float32(0.02) * noise
    else:
        value = noise / np.float32(math.sqrt(math.prod(shape[1:])))
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def reference_weights(manifest: Path, seed: int, prefix: str = "") -> dict[str, Tensor]:
    """The parameters of a manifest (name to shape) that start with ``prefix``, under their full official names."""
    shapes = json.loads(manifest.read_text())
    return {
        name: reference_weight(name, tuple(shape), seed) for name, shape in shapes.items() if name.startswith(prefix)
    }


def reference_input(name: str, shape: tuple[int, ...], seed: int, scale: float, offset: float) -> Tensor:
    """One generated input by its name without ``in.``: scale N + offset."""
    value = _normal("input:" + name, shape, seed) * np.float32(scale) + np.float32(offset)
    return torch.from_numpy(value)
