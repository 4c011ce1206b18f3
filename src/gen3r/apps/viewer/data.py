"""What the viewer shows of a scene, as arrays: no window, no server. Only what is asked for is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from gen3r.cameras.projection import unproject
from gen3r.scene.cleaning import CLEANING_LEVELS, clean_mask
from gen3r.scene.scene import Scene

SAMPLE = 100_000
"""Pixels that tell how far a scene reaches."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which pixels of a scene are shown."""

    cleaning: str = "standard"
    """A key of `CLEANING_LEVELS`."""
    confidence: float = 0.0
    """Hide this fraction of the surface pixels, the least confident; those as confident as the limit stay."""
    max_depth: float = math.inf
    """Hide what is farther from its own camera than this, scene units."""
    max_points: int = 1_000_000
    """Thin evenly to at most this many."""

    def __post_init__(self) -> None:
        if self.cleaning not in CLEANING_LEVELS:
            raise ValueError(f"cleaning must be one of {', '.join(CLEANING_LEVELS)}, got {self.cleaning!r}.")
        if not 0 <= self.confidence < 1:
            raise ValueError(f"confidence must be a fraction in [0, 1), got {self.confidence}.")
        if not self.max_depth > 0 or self.max_points < 1:
            raise ValueError(f"max_depth and max_points must be positive, got {self.max_depth} and {self.max_points}.")


@dataclass(frozen=True, kw_only=True)
class Points:
    """N coloured points of the scene's world (OpenCV axes)."""

    positions: Float32[np.ndarray, "N 3"]
    """Scene units."""
    colors: UInt8[np.ndarray, "N 3"]
    """sRGB, 0..255."""
    diameters: Float32[np.ndarray, " N"]
    """Width of each point's pixel at its depth, scene units: discs of that size just touch."""

    def __len__(self) -> int:
        return len(self.positions)


class ShownScene:
    """A scene and what the viewer derives from it, each part computed when first asked for."""

    def __init__(self, name: str, scene: Scene) -> None:
        self.name = name
        self.scene = scene
        self._cleaned: dict[str, Bool[Tensor, "F H W"]] = {}

    @cached_property
    def median_depth(self) -> float:
        """Of the first frame that has a surface, scene units; 1 for a scene without any."""
        for depth, mask in zip(self.scene.depth, self.scene.mask, strict=True):
            if bool(mask.any()):
                return float(depth[mask].median())
        return 1.0

    @cached_property
    def far(self) -> float:
        """A depth that few pixels exceed (one in 200), scene units: where a slider of depths ends."""
        depth = self.scene.depth[self.scene.mask].numpy()
        return float(np.quantile(depth[:: max(1, depth.size // SAMPLE)], 0.995)) if depth.size else 1.0

    @cached_property
    def pixel_size(self) -> float:
        """Width of a pixel at the median depth, scene units: points of that size just touch."""
        return self.median_depth / float(self.scene.cameras.intrinsics[:, 0, 0].median())

    def keep(self, filters: Filters) -> Bool[Tensor, "F H W"]:
        """The pixels that pass the filters, before any thinning."""
        scene = self.scene
        kept = self._clean(filters.cleaning)
        if filters.confidence > 0 and len(self._sorted_confidence):
            limit = self._sorted_confidence[int(filters.confidence * len(self._sorted_confidence))]
            kept = kept & (scene.confidence >= float(limit))
        return kept if math.isinf(filters.max_depth) else kept & (scene.depth <= filters.max_depth)

    def points(self, filters: Filters, frame: int | None = None) -> Points:
        """The cloud of one frame, or of all of them."""
        kept = self.keep(filters)
        if frame is not None:
            only = torch.zeros_like(kept)
            only[frame] = kept[frame]
            kept = only
        chosen = kept.flatten().nonzero()[:, 0]
        if len(chosen) > filters.max_points:
            spread = torch.linspace(0, len(chosen) - 1, filters.max_points, dtype=torch.float64)
            chosen = chosen[spread.round().long()]
        pixels = self.scene.height * self.scene.width
        counts = torch.bincount(chosen // pixels, minlength=self.scene.frames).tolist()
        positions = [
            unproject(self.scene.depth[index], self.scene.cameras[index]).view(-1, 3)[part - index * pixels]
            for index, part in enumerate(chosen.split(counts))
            if len(part)
        ]
        focal = self.scene.cameras.intrinsics[:, 0, 0][chosen // pixels]
        return Points(
            positions=torch.cat(positions).numpy() if positions else np.zeros((0, 3), np.float32),
            colors=self.scene.rgb.view(-1, 3)[chosen].numpy(),
            diameters=(self.scene.depth.view(-1)[chosen] / focal).numpy(),
        )

    def thumbnail(self, frame: int, width: int = 160) -> UInt8[np.ndarray, "h w 3"]:
        """A frame made small by leaving out pixels evenly."""
        step = max(1, -(-self.scene.width // width))
        return np.ascontiguousarray(self.scene.rgb[frame, ::step, ::step].numpy())

    def _clean(self, level: str) -> Bool[Tensor, "F H W"]:
        if level not in self._cleaned:
            self._cleaned[level] = clean_mask(self.scene, CLEANING_LEVELS[level])
        return self._cleaned[level]

    @cached_property
    def _sorted_confidence(self) -> Float32[np.ndarray, " N"]:
        return np.sort(self.scene.confidence[self.scene.mask].numpy())
