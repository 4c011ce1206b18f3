"""Sizes of a geometry adapter. The defaults are those of the released 318 M parameter model."""

from __future__ import annotations

from dataclasses import dataclass

OFFICIAL_MEAN = (
    0.14257538, 0.18577661, 0.14208488, 0.06298031, 0.09738383, -0.06001362, -0.04728968, -0.12326089,
    -0.04308648, -0.10522724, 0.08278389, -0.00270301, -0.09203526, 0.03170688, 0.11458898, 0.10679868,
)  # fmt: skip
OFFICIAL_STD = (
    0.56929547, 0.61451489, 0.68560797, 0.78598368, 0.51151282, 0.75570852, 0.80284864, 0.63438177,
    0.82458758, 0.59266430, 0.75781488, 0.70593017, 0.70382243, 0.57837099, 0.73155540, 0.71971470,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """Architecture of a geometry adapter; a small model is a smaller config."""

    latent_channels: int = 16
    """Channels of the latent."""
    hidden: int = 128
    """Base width n; the stages are n times the multipliers wide."""
    token_channels: int = 10240
    """Channels of the geometry tokens: four layers and the camera token, 5D."""
    resample_scale: int = 10
    """The outer resampling convolutions reduce the token channels by this factor."""
    multipliers: tuple[int, ...] = (4, 2, 1, 1)
    """Width of each stage over `hidden`, from tokens to latent."""
    temporal: tuple[bool, ...] = (False, True, True)
    """Whether the resampling after each stage but the last also halves time."""
    res_blocks: int = 2
    """Residual blocks per encoder stage (the decoder has one more)."""
    io_kernel: int = 3
    """Kernel of the outer resampling convolutions. 1: point-wise in, 2x2 out, for small models."""
    grid_ratio: float = 1.75
    """Latent cells per token along each side: patch 14 over 8 pixels of a latent cell."""
    latent_pool: int = 1
    """Cells of the latent, per side, that say the same: each block is averaged before and after it is stored. 1: none,
    as released; 2: a latent of half the resolution on the same grid."""
    token_statistics: tuple[int, int] | None = None
    """Rows and columns of the token grid at which mean tokens are kept, see ``TokenStatistics``. None: tokens are read
    as they are, as released."""
    linear: bool = False
    """A linear path past the convolutions, see ``LinearTokenCode``, for small models; needs token_statistics."""
    latents_mean: tuple[float, ...] = OFFICIAL_MEAN
    """Mean of the raw latents, one per channel; belongs to the weights."""
    latents_std: tuple[float, ...] = OFFICIAL_STD
    """Standard deviation of the raw latents, one per channel; belongs to the weights."""

    def __post_init__(self) -> None:
        if self.token_channels % self.resample_scale:
            raise ValueError(
                "token_channels must be a multiple of resample_scale, "
                f"got {self.token_channels} and {self.resample_scale}."
            )
        if len(self.temporal) != len(self.multipliers) - 1:
            raise ValueError(
                f"temporal needs one flag fewer than multipliers, got {self.temporal} and {self.multipliers}."
            )
        if not len(self.latents_mean) == len(self.latents_std) == self.latent_channels:
            raise ValueError(
                f"latents_mean and latents_std must have {self.latent_channels} numbers, "
                f"got {len(self.latents_mean)} and {len(self.latents_std)}."
            )
        if self.linear and self.token_statistics is None:
            raise ValueError(
                "the linear path is of standardised tokens; give token_statistics a grid, or leave out linear."
            )
        if self.latent_pool < 1:
            raise ValueError(f"latent_pool must be at least 1, got {self.latent_pool}.")
        if self.io_kernel not in (1, 3):
            raise ValueError(f"io_kernel must be 1 or 3, got {self.io_kernel}.")

    @property
    def resampled_channels(self) -> int:
        """Width between the outer resampling and the stages."""
        return self.token_channels // self.resample_scale

    @property
    def time_factor(self) -> int:
        """Frames per latent frame after the first."""
        return 2 ** sum(self.temporal)

    def latent_size(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Latent rows and columns of a token grid; ValueError unless the ratio makes them whole."""
        size = (grid[0] * self.grid_ratio, grid[1] * self.grid_ratio)
        if min(grid) < 1 or any(side != int(side) for side in size):
            raise ValueError(
                f"a token grid of {grid[0]}x{grid[1]} times {self.grid_ratio} is not a whole number of latent cells; "
                "make both sides of the grid multiples of 4."
            )
        if any(side % self.latent_pool for side in size):
            raise ValueError(
                f"a latent of {size[0]:.0f}x{size[1]:.0f} cells has no whole blocks of {self.latent_pool}; take a "
                "latent_pool that divides both sides."
            )
        return int(size[0]), int(size[1])

    def token_grid(self, latent_size: tuple[int, int]) -> tuple[int, int]:
        """Token rows and columns of a latent; the inverse of `latent_size`."""
        grid = (round(latent_size[0] / self.grid_ratio), round(latent_size[1] / self.grid_ratio))
        if min(grid) < 1 or (grid[0] * self.grid_ratio, grid[1] * self.grid_ratio) != latent_size:
            raise ValueError(
                f"no token grid gives a {latent_size[0]}x{latent_size[1]} latent at ratio {self.grid_ratio}; "
                "pass `grid`."
            )
        return grid
