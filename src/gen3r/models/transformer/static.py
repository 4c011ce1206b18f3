"""What one sampling run computes once: nothing here depends on the timestep."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor


@dataclass(eq=False, kw_only=True)
class CrossContext:
    """Projected text and image tokens, handed to a block's cross-attention.

    One object per block where keys and values are kept, so that compiled blocks all look alike.
    """

    text: Float[Tensor, "B L D"]
    """Text tokens after the text MLP."""
    image: Float[Tensor, "B N D"] | None
    """Image tokens after the image MLP."""
    keep: bool = False
    """Keep keys and values for the next call. Never while training."""
    keys_values: tuple[Tensor, ...] | None = None
    """Kept keys and values: text, then image."""


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
    contexts: list[CrossContext] | None = field(default=None, repr=False)
    """Projected text and image (shared) with the keys and values of each block."""
