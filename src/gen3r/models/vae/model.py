"""A thin wrapper around diffusers' ``AutoencoderKLWan``: unclamped decoding for training, and the linear path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.models.posterior import Posterior
from gen3r.models.vae.config import SPATIAL_FACTOR, TEMPORAL_FACTOR, VAEConfig
from gen3r.models.vae.linear import LinearVideoCode


class LinearShortcutVAE(nn.Module):
    """Video in -1..1 <-> raw latents; with ``config.linear`` the network only learns what a linear code leaves over.

    mean = linear(video) + network mean, output = linear(latents) + network output. The network's parts start at zero,
    so training starts at the quality of the linear code (set by ``fit_linear_shortcut``).
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        patch_channels = 3 * (config.patch_size or 1) ** 2
        self.vae = AutoencoderKLWan(
            base_dim=config.base_dim,
            decoder_base_dim=config.decoder_base_dim,
            z_dim=config.z_dim,
            dim_mult=list(config.dim_mult),
            num_res_blocks=config.num_res_blocks,
            temperal_downsample=list(config.temporal_downsample),
            latents_mean=list(config.latents_mean),
            latents_std=list(config.latents_std),
            is_residual=config.is_residual,
            in_channels=patch_channels,
            out_channels=patch_channels,
            patch_size=config.patch_size,
        )
        self.linear: LinearVideoCode | None = None
        if config.linear:
            self.linear = LinearVideoCode(config.z_dim, config.linear_margin, config.linear_reach)
            self._silence_network()

    @torch.no_grad()
    def _silence_network(self) -> None:
        """Start with no contribution of the network, and a narrow posterior."""
        for layer in (self.vae.decoder.conv_out, self.vae.quant_conv):
            for parameter in layer.parameters():
                parameter.zero_()
        bias = cast(Tensor, self.vae.quant_conv.bias)
        bias[self.config.z_dim :] = self.config.logvar_start

    def moments(
        self, video: Float[Tensor, "b 3 frames height width"]
    ) -> tuple[Float[Tensor, "b z f h w"], Float[Tensor, "b z f h w"]]:
        """Raw mean and log-variance (not clamped) of the posterior.

        Raises:
            ValueError: if the video has not 4k+1 frames or its size is not a multiple of 8.
        """
        frames, height, width = video.shape[2:]
        if (frames - 1) % TEMPORAL_FACTOR or height % SPATIAL_FACTOR or width % SPATIAL_FACTOR:
            raise ValueError(
                f"expected 4k+1 frames of a size that is a multiple of {SPATIAL_FACTOR}, got {frames} frames of "
                f"{height}x{width}; crop the clip."
            )
        mean, logvar = self.vae.encode(video, return_dict=False)[0].parameters.chunk(2, dim=1)
        return (mean + self.linear.encode(video), logvar) if self.linear is not None else (mean, logvar)

    def encode(self, video: Float[Tensor, "b 3 frames height width"]) -> Posterior:
        """Posterior over RAW latents [b,z,f,h,w] of a video in -1..1; the config's mean and std normalise them."""
        mean, logvar = self.moments(video)
        return Posterior(mean=mean, logvar=logvar)

    def decode(self, latents: Float[Tensor, "b z f h w"]) -> Float[Tensor, "b 3 frames height width"]:
        """Raw latents to video, NOT clamped to -1..1 (diffusers' own ``decode`` clamps, which stops gradients)."""
        video = torch.cat(list(self._network_chunks(latents)), dim=2)
        return video + self.linear.decode(latents) if self.linear is not None else video

    def stream_decode(self, latents: Float[Tensor, "b z f h w"]) -> Iterator[Float[Tensor, "b 3 T height width"]]:
        """The same video as consecutive chunks of 1, 4, 4, ... frames, in memory that does not grow with the frames."""
        for index, video in enumerate(self._network_chunks(latents)):
            if self.linear is not None:
                linear = self.linear.decode(latents[:, :, max(index - 1, 0) : index + 1])
                video = video + linear[:, :, -video.shape[2] :]
            yield video

    def _network_chunks(self, latents: Tensor) -> Iterator[Tensor]:
        """What the network makes of each latent frame; the causal layers' past lives in this call alone."""
        vae = self.vae
        vae.clear_cache()
        past: list[Tensor | str | None] = [None] * len(vae._feat_map)
        hidden = vae.post_quant_conv(latents)
        for index in range(hidden.shape[2]):
            chunk = vae.decoder(hidden[:, :, index : index + 1], feat_cache=past, feat_idx=[0], first_chunk=index == 0)
            patch = self.config.patch_size
            yield chunk if patch is None else unpatchify(chunk, patch_size=patch)

    def forward(self, video: Float[Tensor, "b 3 frames height width"]) -> Float[Tensor, "b 3 frames height width"]:
        """Reconstruction from the posterior's mean, unclamped."""
        return self.decode(self.moments(video)[0])
