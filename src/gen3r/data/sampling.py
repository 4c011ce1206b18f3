"""Which frames of a scene make a clip: `ClipSampler`."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class ClipSampler:
    """Draws ``frames`` frames of a scene: every stride-th from a random start, padded at the ends if there are too few.

    A stride is drawn from ``strides``. A scene of N < frames * stride frames is read with stride 1. The start is
    uniform over all places where the clip fits. Is the scene shorter than the clip, its first and last frame are
    repeated, the missing ones split at random between the two ends.

    Raises:
        ValueError: on construction, for no frames or strides that are no range of whole numbers from 1 on.
    """

    frames: int = 49
    """Frames per clip."""
    strides: tuple[int, int] = (1, 2)
    """Smallest and largest distance of neighbouring frames of a clip in the scene, both included."""
    official: bool = False
    """Draw strides as the official training of stage 2 does, which never reaches the largest: (1, 2) is always 1.
    (That of stage 1 does reach it.)"""
    fixed: bool = False
    """Smallest stride, from the first frame on, missing frames at the end: for validation. Nothing is drawn."""

    def __post_init__(self) -> None:
        low, high = self.strides
        if self.frames < 1:
            raise ValueError(f"expected a clip of at least one frame, got {self.frames}.")
        if not 1 <= low <= high:
            raise ValueError(f"expected strides (smallest, largest) with 1 <= smallest <= largest, got {self.strides}.")

    def indices(self, count: int, rng: torch.Generator) -> list[int]:
        """Frames of a scene of ``count`` frames, ``self.frames`` of them in order; the same for the same ``rng``.

        Raises:
            ValueError: for a scene without frames.
        """
        if count < 1:
            raise ValueError(f"expected a scene with frames, got {count} frames.")
        stride = self._stride(count, rng)
        span = (self.frames - 1) * stride + 1
        if span <= count:
            start = self._draw(0, count - span, rng)
            return list(range(start, start + span, stride))
        before = self._draw(0, self.frames - count, rng)
        return [min(max(index - before, 0), count - 1) for index in range(self.frames)]

    def _stride(self, count: int, rng: torch.Generator) -> int:
        low, high = self.strides
        stride = self._draw(low, max(low, high - 1) if self.official else high, rng)
        return stride if self.frames * stride <= count else 1

    def _draw(self, low: int, high: int, rng: torch.Generator) -> int:
        """A whole number in low .. high, both included; the lowest where nothing is left to chance."""
        if self.fixed:
            return low
        return int(torch.randint(low, high + 1, (), generator=rng, device=rng.device))
