"""Videos to normalised appearance latents and back, whatever VAE stands behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.models.posterior import Posterior


@runtime_checkable
class StreamingVAE(Protocol):
    """A VAE that can decode latent frame by latent frame."""

    def stream_decode(self, latents: Tensor) -> Iterator[Tensor]:
        """Consecutive chunks ``[B, 3, T, H, W]`` of the video of raw latents."""
        ...


class AppearanceCodec(nn.Module):
    """A video VAE with its pixel range and latent normalisation.

    Args:
        vae: diffusers' ``AutoencoderKLWan``, or any module with ``encode(video[B,3,F,H,W] in -1..1)`` returning an
            object with raw ``mean`` and ``logvar`` and ``decode(z) -> video`` (clamped or not).
        mean: raw latent mean of each channel.
        std: raw latent standard deviation of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, vae: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or any(value <= 0 for value in std):
            raise ValueError(f"need a mean and a positive std for each channel, got {list(mean)} and {list(std)}.")
        self.vae: Any = vae
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)

    def encode(self, video: Float[Tensor, "B F 3 H W"]) -> Posterior:
        """Posterior ``[B, 16, f, h, w]`` of videos in [0, 1] with 4k+1 frames.

        The mean is normalised (zero mean, unit deviation over data). The log-variance stays raw, as in the official
        code, whose samples are therefore noisier than the VAE meant; take ``.mode()`` where that matters.
        """
        pixels = (video.transpose(1, 2) * 2 - 1).clamp(-1, 1)
        encoded = self.vae.encode(pixels.to(_dtype(self.vae)))
        posterior = getattr(encoded, "latent_dist", encoded)
        mean = (posterior.mean.float() - _per_channel(self.mean)) / _per_channel(self.std)
        return Posterior(mean=mean, logvar=posterior.logvar.float())

    def decode(self, latents: Float[Tensor, "B C f h w"]) -> Float[Tensor, "B F 3 H W"]:
        """Videos in [0, 1] from normalised latents."""
        return _pictures(self.decode_raw(latents))

    def decode_raw(self, latents: Float[Tensor, "B C f h w"]) -> Float[Tensor, "B 3 F H W"]:
        """What the VAE itself gives: float32, around -1..1, clamped or not."""
        decoded = self.vae.decode(self._raw(latents))
        return (decoded if isinstance(decoded, Tensor) else decoded.sample).float()

    def stream_decode(self, latents: Float[Tensor, "B C f h w"]) -> Iterator[Float[Tensor, "B T 3 H W"]]:
        """The same videos in consecutive chunks of frames, so that they need never be on the device together.

        A VAE without ``stream_decode`` of its own gives one chunk.
        """
        if not isinstance(self.vae, StreamingVAE):
            yield self.decode(latents)
            return
        for chunk in self.vae.stream_decode(self._raw(latents)):
            yield _pictures(chunk)

    def _raw(self, latents: Tensor) -> Tensor:
        raw = latents.float() * _per_channel(self.std) + _per_channel(self.mean)
        return raw.to(_dtype(self.vae))


def _pictures(video: Float[Tensor, "B 3 F H W"]) -> Float[Tensor, "B F 3 H W"]:
    return (video.float() / 2 + 0.5).clamp(0, 1).transpose(1, 2)


def _per_channel(values: Tensor) -> Tensor:
    return values.float().view(-1, 1, 1, 1)


def _dtype(module: nn.Module) -> torch.dtype:
    return next((parameter.dtype for parameter in module.parameters()), torch.float32)
