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


def kept(joint: Shaped[Tensor, "*b w2"], halves: int) -> Shaped[Tensor, "*b wide"]:
    """All of a joint tensor for two ``halves``; its appearance half for models that have no other (1)."""
    return joint if halves == 2 else split(joint)[0]


@dataclass(frozen=True)
class JointLatent:
    """Appearance and geometry latents of the same clips, each ``[B, 16, f, h, w]``, both normalised."""

    appearance: Tensor
    """Latent of the video VAE."""
    geometry: Tensor | None
    """Latent of the geometry codec; None for models that denoise appearance alone."""

    def __post_init__(self) -> None:
        if self.geometry is not None and self.appearance.shape != self.geometry.shape:
            raise ValueError(
                "appearance and geometry must have one shape, "
                f"got {tuple(self.appearance.shape)} and {tuple(self.geometry.shape)}."
            )

    @property
    def tensor(self) -> Tensor:
        """``[B, 16, f, h, 2w]``, what the transformer denoises; ``[B, 16, f, h, w]`` without geometry."""
        return self.appearance if self.geometry is None else pair(self.appearance, self.geometry)

    @classmethod
    def from_tensor(cls, joint: Tensor, halves: int = 2) -> JointLatent:
        """Take ``tensor`` apart again."""
        return cls(*split(joint)) if halves == 2 else cls(joint, None)
