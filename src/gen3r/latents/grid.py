"""Every size that follows from the number of frames and the image size, validated once."""

from __future__ import annotations

import math
from dataclasses import dataclass

TEMPORAL_STRIDE = 4
"""Frames per latent frame, after the first, which stands alone."""
SPATIAL_STRIDE = 8
"""Pixels per latent cell, along each side."""
LATENT_CHANNELS = 16
"""Channels of each half of the joint latent."""
_EVEN_CELLS = 2 * SPATIAL_STRIDE


def nearest_frames(frames: int) -> tuple[int, int]:
    """Closest valid frame counts (4k+1) at or below and at or above ``frames``."""
    low = max(1, (frames - 1) // TEMPORAL_STRIDE * TEMPORAL_STRIDE + 1)
    return low, low if low >= frames else low + TEMPORAL_STRIDE


def side_multiple(patch: int) -> int:
    """Pixels that every image side must be a multiple of: whole VGGT patches and an even number of latent cells."""
    return math.lcm(patch, _EVEN_CELLS)


def nearest_side(side: int, patch: int) -> tuple[int, int]:
    """Closest valid image sides at or below and at or above ``side`` pixels."""
    multiple = side_multiple(patch)
    low = max(multiple, side // multiple * multiple)
    return low, low if low >= side else low + multiple


@dataclass(frozen=True)
class LatentGrid:
    """Sizes of one clip in pixels, latent cells and tokens.

    Raises:
        ValueError: with the nearest valid numbers, if ``frames`` is not 4k+1 or a side is off the grid.
    """

    frames: int
    """Frames F = 4k+1."""
    height: int
    """Image rows in pixels; a multiple of ``side_multiple(patch)``."""
    width: int
    """Image columns in pixels; a multiple of ``side_multiple(patch)``."""
    patch: int = 14
    """Side of a VGGT patch in pixels."""
    halves: int = 2
    """Latents side by side: appearance and geometry, or (1) appearance alone."""

    def __post_init__(self) -> None:
        if self.patch < 1:
            raise ValueError(f"patch must be a positive number of pixels, got {self.patch}.")
        if self.frames < 1 or self.frames % TEMPORAL_STRIDE != 1:
            raise ValueError(
                f"frames must be 4k+1 to fold into whole latent frames, got {self.frames}; "
                f"use {_either(nearest_frames(self.frames))}."
            )
        for name, side in (("height", self.height), ("width", self.width)):
            if side < 1 or side % side_multiple(self.patch):
                raise ValueError(
                    f"{name} must be a multiple of {side_multiple(self.patch)} (whole {self.patch}-pixel patches, "
                    f"an even number of latent cells), got {side}; use {_either(nearest_side(side, self.patch))}."
                )

    @property
    def size(self) -> tuple[int, int]:
        """Image rows and columns in pixels."""
        return self.height, self.width

    @property
    def latent_frames(self) -> int:
        """f = 1 + (F-1)/4."""
        return 1 + (self.frames - 1) // TEMPORAL_STRIDE

    @property
    def latent_size(self) -> tuple[int, int]:
        """Rows and columns (h, w) of one half of the joint latent."""
        return self.height // SPATIAL_STRIDE, self.width // SPATIAL_STRIDE

    @property
    def token_grid(self) -> tuple[int, int]:
        """Rows and columns of VGGT patch tokens per frame."""
        return self.height // self.patch, self.width // self.patch

    @property
    def joint_width(self) -> int:
        """Columns of the joint latent, 2w (w for one half)."""
        return self.halves * self.latent_size[1]

    @property
    def joint_shape(self) -> tuple[int, int, int, int]:
        """[channels, f, h, joint width] of one joint latent."""
        return LATENT_CHANNELS, self.latent_frames, self.latent_size[0], self.joint_width


def _either(options: tuple[int, int]) -> str:
    return " or ".join(str(option) for option in dict.fromkeys(options))
