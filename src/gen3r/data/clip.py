"""A clip with all its truth, and which clips may be trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, UInt8
from torch import Tensor

from gen3r.cameras import Cameras

Split = Literal["train", "validation", "held-out"]
FIRST_VALIDATION_SEED = 800_000_000
FIRST_HELD_OUT_SEED = 900_000_000


@dataclass(frozen=True, kw_only=True)
class Clip:
    """F frames with depth and cameras. World points are ``unproject(depth, cameras)``, exactly."""

    rgb: UInt8[Tensor, "F H W 3"]
    """sRGB, 0..255."""
    depth: Float[Tensor, "F H W"]
    """z-depth at pixel centres in the unit of the cameras; 0 = sky, no surface."""
    cameras: Cameras
    """``[F]``, in the world of the scene (not re-based)."""
    caption: str
    """What the clip shows."""
    seed: int
    """What it was made from."""


def split_of(seed: int) -> Split:
    """The split of a seed, by rule: train below 800,000,000, validation below 900,000,000, held-out from there.

    Raises:
        ValueError: for a negative seed.
    """
    if seed < 0:
        raise ValueError(f"seeds must be 0 or more, got {seed}.")
    if seed < FIRST_VALIDATION_SEED:
        return "train"
    return "validation" if seed < FIRST_HELD_OUT_SEED else "held-out"
