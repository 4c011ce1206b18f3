"""Which pixels of a scene are surfaces, and which float: confidence, agreement between frames, and depth edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.scene.consistency import depth_votes
from gen3r.scene.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """How hard to clean: three independent filters, each looking at every valid pixel. The defaults keep all."""

    confidence_quantile: float = 0.0
    """Drop this fraction of the valid pixels, the least confident; ties with the limit stay. 0 keeps all."""
    disagreement: float | None = None
    """Drop pixels that more frames contradict than confirm, by more than this share of depth, see `depth_votes`. None
    asks no other frame."""
    neighbours: int = 6
    """Other frames asked about each frame."""
    confirmed: bool = False
    """Drop pixels that no other frame confirms, too. A scene of one frame keeps them."""
    depth_edge: float | None = None
    """Drop pixels on depth discontinuities, see `depth_edges`. None keeps them."""

    def __post_init__(self) -> None:
        if not 0 <= self.confidence_quantile < 1:
            raise ValueError(f"confidence_quantile must be in [0, 1), got {self.confidence_quantile}.")
        if self.disagreement is not None and not 0 < self.disagreement < 1:
            raise ValueError(f"disagreement must be in (0, 1), or None to switch it off; got {self.disagreement}.")
        if self.depth_edge is not None and not self.depth_edge > 0:
            raise ValueError(f"depth_edge must be positive, or None to switch it off; got {self.depth_edge}.")
        if self.neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, got {self.neighbours}.")
        if self.confirmed and self.disagreement is None:
            raise ValueError("confirmed needs a disagreement: without one no other frame is asked.")


CLEANING_LEVELS: Mapping[str, Cleaning] = MappingProxyType(
    {
        "none": Cleaning(),
        "light": Cleaning(confidence_quantile=0.05, disagreement=0.2, depth_edge=0.06),
        "standard": Cleaning(confidence_quantile=0.2, disagreement=0.1, depth_edge=0.04),
        "strong": Cleaning(confidence_quantile=0.4, disagreement=0.1, confirmed=True, depth_edge=0.02),
    }
)
"""The levels by name, from everything to only what another frame confirms; each keeps part of what the one before
keeps. Chosen on validation clips: see docs/exports.md for what they do on held-out ones."""


def cleaning_level(name: str) -> Cleaning:
    """A level by name; `ValueError` listing them for any other."""
    if name not in CLEANING_LEVELS:
        raise ValueError(f"unknown cleaning level {name!r}; the levels are {', '.join(CLEANING_LEVELS)}.")
    return CLEANING_LEVELS[name]


def clean_mask(scene: Scene, cleaning: Cleaning, valid: Bool[Tensor, "F H W"] | None = None) -> Bool[Tensor, "F H W"]:
    """Pixels that survive all three filters.

    Args:
        valid: pixels to choose from; the scene's mask if left out.
    """
    valid = scene.mask if valid is None else valid
    keep = _confident(scene.confidence, valid, cleaning.confidence_quantile)
    if cleaning.disagreement is not None and scene.frames > 1:
        votes = depth_votes(scene, valid, tolerance=cleaning.disagreement, neighbours=cleaning.neighbours)
        keep &= votes.contradict <= votes.agree
        if cleaning.confirmed:
            keep &= votes.agree > 0
    if cleaning.depth_edge is not None:
        for index in range(scene.frames):
            keep[index] &= ~depth_edges(scene.depth[index], valid[index], cleaning.depth_edge)
    return keep


def depth_edges(
    depth: Float[Tensor, "*b H W"], mask: Bool[Tensor, "*b H W"], threshold: float
) -> Bool[Tensor, "*b H W"]:
    """True beside depth discontinuities, where predicted depth smears foreground into background.

    With q = 1 / depth (0 outside `mask`, as if infinitely far), a pixel is an edge if along x or y
    |q_left + q_right - 2 q| > threshold * q. The inverse depth of a plane is linear in the image, so slanted
    planes pass whatever their slant, unlike with a test on depth differences.
    """
    inverse = torch.where(mask, 1 / depth.clamp_min(1e-8), 0.0)
    bend = torch.zeros_like(inverse)
    for axis in (-1, -2):
        n = inverse.shape[axis]
        if n < 3:
            continue
        centre = inverse.narrow(axis, 1, n - 2)
        second = (inverse.narrow(axis, 0, n - 2) + inverse.narrow(axis, 2, n - 2) - 2 * centre).abs()
        inner = bend.narrow(axis, 1, n - 2)
        inner.copy_(torch.maximum(inner, second))
    return mask & (bend > threshold * inverse)


def _confident(
    confidence: Float[Tensor, "F H W"], valid: Bool[Tensor, "F H W"], quantile: float
) -> Bool[Tensor, "F H W"]:
    chosen = confidence[valid]
    if not chosen.numel() or quantile == 0:
        return valid.clone()
    # Through numpy: torch.quantile refuses more than 16 million values.
    return valid & (confidence >= float(np.quantile(chosen.numpy(), quantile, method="lower")))
