"""Sizes of the video autoencoder; the defaults are those of the official Wan 2.1 VAE."""

from __future__ import annotations

from dataclasses import dataclass

SPATIAL_FACTOR = 8
TEMPORAL_FACTOR = 4

WAN_LATENTS_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)  # fmt: skip
WAN_LATENTS_STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """One Wan video autoencoder. With ``linear`` off it is exactly diffusers' ``AutoencoderKLWan``."""

    base_dim: int = 96
    """Channels of the first encoder stage."""
    decoder_base_dim: int | None = None
    """Channels of the last decoder stage; None takes ``base_dim``."""
    z_dim: int = 16
    """Latent channels."""
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    """Width multiplier of every resolution."""
    num_res_blocks: int = 2
    """Residual blocks per resolution (the decoder has one more)."""
    temporal_downsample: tuple[bool, ...] = (False, True, True)
    """Whether the step between two resolutions also halves time; two of them must."""
    is_residual: bool = False
    """The averaging shortcuts of Wan 2.2 around every resolution."""
    patch_size: int | None = None
    """Pixel-unshuffle in front of the network: 2 makes a step about three times cheaper."""
    latents_mean: tuple[float, ...] = WAN_LATENTS_MEAN
    """Mean of each raw latent channel over the training clips."""
    latents_std: tuple[float, ...] = WAN_LATENTS_STD
    """Standard deviation of each raw latent channel."""
    linear: bool = False
    """Add the linear causal path (see ``LinearVideoCode``) to the network's mean and output."""
    linear_margin: int = 4
    """Pixels around each 8x8 block that the linear encoder also reads."""
    linear_reach: int = 1
    """Latent cells around a block that the linear decoder also reads."""
    logvar_start: float = -6.0
    """Where the posterior's log-variance starts when ``linear`` is on."""

    def __post_init__(self) -> None:
        factor = (self.patch_size or 1) * 2 ** (len(self.dim_mult) - 1)
        if factor != SPATIAL_FACTOR or sum(self.temporal_downsample) != 2:
            raise ValueError(
                f"expected resolutions that divide space by {SPATIAL_FACTOR} and time by {TEMPORAL_FACTOR}, got a "
                f"factor of {factor} in space (patch_size {self.patch_size}, dim_mult {self.dim_mult}) and "
                f"{2 ** sum(self.temporal_downsample)} in time; change dim_mult or patch_size."
            )
        if len(self.temporal_downsample) != len(self.dim_mult) - 1:
            raise ValueError(
                f"expected one temporal_downsample entry between each two of {len(self.dim_mult)} resolutions, "
                f"got {self.temporal_downsample}."
            )
        if not len(self.latents_mean) == len(self.latents_std) == self.z_dim:
            raise ValueError(
                f"expected {self.z_dim} latents_mean and latents_std, "
                f"got {len(self.latents_mean)} and {len(self.latents_std)}."
            )
