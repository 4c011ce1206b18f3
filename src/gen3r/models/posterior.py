"""Diagonal Gaussian posteriors over latents, shared by the geometry adapter and the video VAE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LOGVAR_RANGE = (-30.0, 20.0)


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """A Gaussian with independent components: `mean` and `logvar` of shape [B, C, f, h, w].

    `logvar` is clamped to [-30, 20] when the object is made, so that every use sees the same values.
    The two need not be in the same units: the adapter normalises its mean but not its variance.
    """

    mean: Float[Tensor, "B ..."]
    logvar: Float[Tensor, "B ..."]

    def __post_init__(self) -> None:
        object.__setattr__(self, "logvar", self.logvar.clamp(*LOGVAR_RANGE))

    def sample(self, generator: torch.Generator | Sequence[torch.Generator] | None = None) -> Float[Tensor, "B ..."]:
        """mean + exp(logvar / 2) * noise; one generator for the batch, or one per item (independent of the batch)."""
        return self.mean + torch.exp(0.5 * self.logvar) * _noise_like(self.mean, generator)

    def mode(self) -> Float[Tensor, "B ..."]:
        """The most likely value: the mean."""
        return self.mean

    def kl(self, other: Posterior | None = None) -> Float[Tensor, "B ..."]:
        """KL(self || other) in nats for each component, not reduced. Without `other`: against N(0, 1)."""
        if other is None:
            return 0.5 * (self.mean.square() + self.logvar.exp() - 1.0 - self.logvar)
        log_ratio = self.logvar - other.logvar
        distance = (self.mean - other.mean).square() * torch.exp(-other.logvar)
        return 0.5 * (distance + log_ratio.exp() - 1.0 - log_ratio)


def _noise_like(reference: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None) -> Tensor:
    if generator is None or isinstance(generator, torch.Generator):
        device = reference.device if generator is None else generator.device
        noise = torch.randn(reference.shape, generator=generator, device=device, dtype=reference.dtype)
        return noise.to(reference.device)
    if len(generator) != reference.shape[0]:
        raise ValueError(
            f"give one generator per batch item: batch {reference.shape[0]}, got {len(generator)} generators."
        )
    return torch.cat([_noise_like(reference[i : i + 1], one) for i, one in enumerate(generator)])
