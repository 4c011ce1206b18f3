"""Every choice that shapes a :class:`~gen3r.models.transformer.JointTransformer`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Shape of the joint transformer. The defaults are the full-size Gen3R model (1.62 G parameters)."""

    patch_size: tuple[int, int, int] = (1, 2, 2)
    """Latent cells (frames, rows, columns) folded into one token."""
    num_attention_heads: int = 12
    """Attention heads; the model width is heads x head dimension."""
    attention_head_dim: int = 128
    """Channels per head. Must be even, so that rotary pairs exist on every axis."""
    num_layers: int = 30
    """Transformer blocks."""
    ffn_dim: int = 8960
    """Hidden width of the feed-forward layers."""
    in_channels: int = 36
    """Channels read: noisy latents, control latents, mask (16 + 16 + 4)."""
    out_channels: int = 16
    """Channels of the latents, hence of the predicted velocity."""
    text_dim: int = 4096
    """Width of the text features."""
    text_length: int = 512
    """Text rows attended to; shorter prompts are padded with zero rows, which are attended to as well."""
    freq_dim: int = 256
    """Width of the timestep sinusoid. Must be even."""
    image_dim: int | None = 1280
    """Width of the image features; None builds a model without image conditioning."""
    camera_channels: int = 24
    """Channels of the packed rays (6 Plücker coordinates x 4 frames)."""
    camera_downsample_first: bool = False
    """Average the rays over 8x8 pixels instead of unshuffling them into channels: far fewer weights."""
    camera_residual_kernel: int = 3
    """Kernel of the camera adapter's residual block (odd); 1 makes it a per-token MLP."""
    shared_rope: bool = True
    """Give a geometry token the rotary position of the appearance token it belongs to."""
    cross_attn_norm: bool = True
    """Affine norm before cross-attention."""
    eps: float = 1e-6
    """Epsilon of the norms."""

    def __post_init__(self) -> None:
        if self.attention_head_dim % 2 or self.attention_head_dim < 6:
            raise ValueError(
                f"attention_head_dim must be even and at least 6 for rotary positions, got {self.attention_head_dim}."
            )
        if self.freq_dim % 2:
            raise ValueError(f"freq_dim must be even (half cosines, half sines), got {self.freq_dim}.")
        if self.in_channels <= self.out_channels:
            raise ValueError(
                f"in_channels ({self.in_channels}) must exceed out_channels ({self.out_channels}): "
                "the control channels come after the noisy latents."
            )
        if self.camera_residual_kernel % 2 == 0:
            raise ValueError(f"camera_residual_kernel must be odd, got {self.camera_residual_kernel}.")

    @property
    def dim(self) -> int:
        """Model width."""
        return self.num_attention_heads * self.attention_head_dim

    @property
    def control_channels(self) -> int:
        """Channels of the control input (control latents and mask)."""
        return self.in_channels - self.out_channels

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TransformerConfig:
        """Build from a plain (json) dictionary; keys starting with an underscore are metadata and ignored.

        Raises:
            ValueError: naming the keys that are not fields of this class.
        """
        known = {field.name for field in fields(cls)}
        given = {key: value for key, value in values.items() if not key.startswith("_")}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ValueError(f"unknown transformer settings {unknown}; expected some of {sorted(known)}.")
        if "patch_size" in given:
            given["patch_size"] = tuple(given["patch_size"])
        return cls(**given)
