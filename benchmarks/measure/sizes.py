"""Sizes to measure: the released model, and one of the same structure that runs in a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transformers import CLIPVisionConfig, UMT5Config

from gen3r.models.adapter import AdapterConfig
from gen3r.models.transformer import TransformerConfig
from gen3r.models.vae import VAEConfig
from gen3r.models.vggt import VGGTConfig


def umt5(**changes: Any) -> UMT5Config:
    """umT5-xxl's encoder."""
    xxl = {"vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    values: dict[str, Any] = {**xxl, "dropout_rate": 0.0, **changes}
    return UMT5Config(**values)


def clip(**changes: Any) -> CLIPVisionConfig:
    """The vision tower of CLIP ViT-H/14."""
    huge = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16}
    values: dict[str, Any] = {**huge, "image_size": 224, "patch_size": 14, "hidden_act": "gelu", **changes}
    return CLIPVisionConfig(**values)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Every network of one model. The defaults are the released one."""

    vae: VAEConfig = field(default_factory=VAEConfig)
    """Video VAE."""
    vggt: VGGTConfig = field(default_factory=VGGTConfig)
    """VGGT."""
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    """Geometry adapter."""
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    """Joint transformer."""
    text: UMT5Config = field(default_factory=umt5)
    """Text encoder."""
    image: CLIPVisionConfig = field(default_factory=clip)
    """Image encoder."""


def small() -> Sizes:
    """A few hundred thousand parameters with every part the released model has."""
    vggt = VGGTConfig(
        image_size=112,
        embed_dim=16,
        dino_depth=1,
        dino_heads=2,
        depth=4,
        heads=2,
        kept_layers=(0, 1, 2, 3),
        camera_depth=1,
        camera_heads=2,
        dense_features=8,
        dense_channels=(8, 8, 8, 8),
        dense_hidden=4,
    )
    return Sizes(
        vae=VAEConfig(base_dim=4, num_res_blocks=1),
        vggt=vggt,
        adapter=AdapterConfig(hidden=4, token_channels=5 * vggt.token_dim, res_blocks=1),
        transformer=TransformerConfig(
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=2,
            ffn_dim=64,
            text_dim=32,
            text_length=16,
            image_dim=24,
        ),
        text=umt5(vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=2),
        image=clip(hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, patch_size=56),
    )


SIZES: Mapping[str, Callable[[], Sizes]] = {"full": Sizes, "small": small}
"""By the name on the command line."""
