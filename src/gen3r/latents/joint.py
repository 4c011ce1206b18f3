"""The joint latent. The only place that knows appearance is on the left and geometry on the right.

Everything shaped like it (control latents, masks, rays) is built with the helpers of this file; width is the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor


def pair(appearance: Shaped[Tensor, "*b w"], geometry: Shaped[Tensor, "*b w"]) -> Shaped[Tensor, "*b w2"]:
    """Put the two halves side by side."""
    return torch.cat([appearance, geometry], dim=-1)


def split(joint: Shaped[Tensor, "*b w2"]) -> tuple[Shaped[Tensor, "*b w"], Shaped[Tensor, "*b w"]]:
    """The appearance and the geometry half (views of ``joint``).

    Raises:
        ValueError: if the width is odd.
    """
    if joint.shape[-1] % 2:
        raise ValueError(f"a joint tensor has an even width, got {joint.shape[-1]}.")
    appearance, geometry = joint.chunk(2, dim=-1)
    return appearance, geometry


def left_only(appearance: Shaped[Tensor, "*b w"]) -> Shaped[Tensor, "*b w2"]:
    """Something known about appearance alone: zeros on the geometry half."""
    return pair(appearance, torch.zeros_like(appearance))


def both(shared: Shaped[Tensor, "*b w"]) -> Shaped[Tensor, "*b w2"]:
    """Something true of both halves, such as the rays of the cameras."""
    return pair(shared, shared)


@dataclass(frozen=True)
class JointLatent:
    """Appearance and geometry latents of the same clips, each ``[B, 16, f, h, w]``, both normalised."""

    appearance: Tensor
    """Latent of the video VAE."""
    geometry: Tensor
    """Latent of the geometry adapter."""

    def __post_init__(self) -> None:
        if self.appearance.shape != self.geometry.shape:
            raise ValueError(
                "appearance and geometry must have one shape, "
                f"got {tuple(self.appearance.shape)} and {tuple(self.geometry.shape)}."
            )

    @property
    def tensor(self) -> Tensor:
        """``[B, 16, f, h, 2w]``, what the transformer denoises."""
        return pair(self.appearance, self.geometry)

    @classmethod
    def from_tensor(cls, joint: Tensor) -> JointLatent:
        """Take ``[B, 16, f, h, 2w]`` apart."""
        return cls(*split(joint))
