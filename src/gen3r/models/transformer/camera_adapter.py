"""Packed Plücker rays to tokens, added to the patch embedding."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gen3r.models.transformer.config import TransformerConfig

_CELL = 8
"""Pixels per latent cell, along each side."""


class CameraResidualBlock(nn.Module):
    """``x + conv2(ReLU(conv1(x)))``: no norm, no activation after the sum."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, features: Float[Tensor, "N D r c"]) -> Float[Tensor, "N D r c"]:
        return features + self.conv2(F.relu(self.conv1(features)))


class CameraAdapter(nn.Module):
    """Rays ``[B, 24, f, 8h, 16w]`` to ``[B, dim, f, h/2, w]``, each latent frame alone.

    With ``camera_downsample_first`` rays are averaged to latent size before the first convolution; rays that
    already come at latent size ``[B, 24, f, h, 2w]`` pass through that step unchanged.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.downsample_first = config.camera_downsample_first
        spatial_patch = config.patch_size[1:]
        channels = config.camera_channels if self.downsample_first else config.camera_channels * _CELL**2
        self.conv = nn.Conv2d(channels, config.dim, kernel_size=spatial_patch, stride=spatial_patch)
        self.residual_block = CameraResidualBlock(config.dim, config.camera_residual_kernel)

    def forward(self, camera: Float[Tensor, "B C f H W"], latent_size: tuple[int, int]) -> Float[Tensor, "B D f r c"]:
        """Embed ``camera`` for a joint latent of ``latent_size`` (h, 2w) cells.

        Raises:
            ValueError: if the rays have neither 8 pixels per cell nor (when pooling) one ray per cell.
        """
        batch, _, frames, height, width = camera.shape
        full_size = (latent_size[0] * _CELL, latent_size[1] * _CELL)
        allowed = [full_size, latent_size] if self.downsample_first else [full_size]
        if (height, width) not in allowed:
            raise ValueError(f"camera must be {' or '.join(map(str, allowed))} (rows, columns), got {(height, width)}.")
        rays = camera.transpose(1, 2).flatten(0, 1)
        if not self.downsample_first:
            rays = F.pixel_unshuffle(rays, _CELL)
        elif (height, width) != latent_size:
            rays = F.avg_pool2d(rays, _CELL)
        features = self.residual_block(self.conv(rays))
        return features.unflatten(0, (batch, frames)).transpose(1, 2)
