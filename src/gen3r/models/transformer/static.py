"""What one sampling run computes once: nothing here depends on the timestep."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn


@dataclass(eq=False, kw_only=True)
class CrossContext:
    """Projected text and image tokens, handed to every block's cross-attention."""

    text: Float[Tensor, "B L D"]
    """Text tokens after the text MLP."""
    image: Float[Tensor, "B N D"] | None
    """Image tokens after the image MLP."""
    keys_values: dict[nn.Module, tuple[Tensor, ...]] | None = None
    """Keys and values (text, then image) per attention layer; None = do not keep them (training)."""


@dataclass(eq=False, kw_only=True)
class StaticCondition:
    """Conditions of one run and, after the first forward that uses them, everything derived from them.

    Derived tensors are made inside that forward (so offloading and parallelism hooks apply) and carry no
    gradient. Make a new one whenever weights, LoRA scales, conditions or the latent size change.
    """

    text: Float[Tensor, "B L Dt"] | None
    """Text features; released once projected."""
    camera: Float[Tensor, "B C f H W"] | None
    """Packed rays; released once embedded."""
    image: Float[Tensor, "B N Di"] | None
    """Image features; released once projected."""
    latent_size: tuple[int, int, int] | None = None
    """Latent frames, rows and columns the derived tensors are for."""
    rotary: tuple[Tensor, Tensor] | None = field(default=None, repr=False)
    """Rotary cosines and sines."""
    camera_tokens: Float[Tensor, "B N D"] | None = field(default=None, repr=False)
    """Camera adapter output, one row per token."""
    context: CrossContext | None = field(default=None, repr=False)
    """Projected text and image with their keys and values."""
