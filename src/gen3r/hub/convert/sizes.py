"""Sizes of the official networks, read off the shapes of their tensors; most are in no config that they come with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from transformers import CLIPVisionConfig, UMT5Config

from gen3r.hub.convert.transformer import transformer_config
from gen3r.hub.files import ModelFolderError
from gen3r.hub.stored import StoredTensor
from gen3r.models.adapter import AdapterConfig
from gen3r.models.transformer import TransformerConfig
from gen3r.models.vae import VAEConfig
from gen3r.models.vae.config import SPATIAL_FACTOR, TEMPORAL_FACTOR
from gen3r.models.vggt import VGGTConfig

CLIP_HEAD_WIDTH = 80
"""Width of an attention head of open_clip's ViT-H; shapes do not tell."""
LAST_HIDDEN_STATE = -1
"""The image features of a tower without its unused last block."""


class Shapes:
    """Shapes by official name, whatever prefix the file puts in front."""

    def __init__(self, weights: Mapping[str, StoredTensor], prefix: str = "") -> None:
        self._shapes = {name.removeprefix(prefix): tensor.shape for name, tensor in weights.items()}
        self._file = next((str(tensor.file) for tensor in weights.values()), "the checkpoint")

    def __getitem__(self, name: str) -> tuple[int, ...]:
        if name not in self._shapes:
            raise ModelFolderError(f"{self._file}: expected a tensor {name} to read sizes off, found none.")
        return self._shapes[name]

    def count(self, prefix: str) -> int:
        """How many blocks ``<prefix>.<number>.`` there are."""
        parts = (
            name.removeprefix(prefix + ".").split(".")[0] for name in self._shapes if name.startswith(prefix + ".")
        )
        return 1 + max((int(part) for part in parts if part.isdigit()), default=-1)


def read_transformer(values: Mapping[str, Any], weights: Mapping[str, StoredTensor]) -> TransformerConfig:
    """The config says all but the widths of the image features."""
    return replace(transformer_config(values), image_dim=Shapes(weights)["img_emb.proj.0.weight"][0])


def read_adapter(values: Mapping[str, Any], weights: Mapping[str, StoredTensor]) -> AdapterConfig:
    """The config says all there is to choose."""
    names = ("latent_channels", "hidden_dim", "input_dim", "output_dim", "resample_scale")
    missing = [name for name in names if name not in values]
    if missing:
        raise ModelFolderError(f"the geometry adapter's config lacks {missing}.")
    if values["input_dim"] != values["output_dim"]:
        raise ModelFolderError(
            f"expected an adapter that returns as many channels as it reads, got input_dim {values['input_dim']} and "
            f"output_dim {values['output_dim']}."
        )
    return AdapterConfig(
        latent_channels=values["latent_channels"],
        hidden=values["hidden_dim"],
        token_channels=values["input_dim"],
        resample_scale=values["resample_scale"],
    )


def adapter_json(config: AdapterConfig) -> dict[str, Any]:
    """The official ``config.json`` of a geometry adapter."""
    return {
        "_class_name": "GeometryAdapter",
        "hidden_dim": config.hidden,
        "input_dim": config.token_channels,
        "latent_channels": config.latent_channels,
        "output_dim": config.token_channels,
        "resample_scale": config.resample_scale,
    }


def read_vae(values: Mapping[str, Any], weights: Mapping[str, StoredTensor]) -> VAEConfig:
    """Width and latent channels; the multipliers are the code's."""
    shapes = Shapes(weights, "model.")
    config = VAEConfig(base_dim=shapes["encoder.conv1.weight"][0], z_dim=shapes["conv2.weight"][0])
    return _agreeing(values, config, vae_json)


def vae_json(config: VAEConfig) -> dict[str, Any]:
    """The official ``config.json`` of a VAE, with its misspelling."""
    return {
        "_class_name": "AutoencoderKLWan",
        "latent_channels": config.z_dim,
        "spacial_compression_ratio": SPATIAL_FACTOR,
        "temporal_compression_ratio": TEMPORAL_FACTOR,
    }


def read_text(values: Mapping[str, Any], weights: Mapping[str, StoredTensor]) -> UMT5Config:
    """All sizes."""
    shapes = Shapes(weights)
    vocabulary, width = shapes["token_embedding.weight"]
    buckets, heads = shapes["blocks.0.pos_embedding.embedding.weight"]
    config = UMT5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=shapes["blocks.0.attn.q.weight"][0] // heads,
        d_ff=shapes["blocks.0.ffn.fc1.weight"][0],
        num_layers=shapes.count("blocks"),
        num_heads=heads,
        relative_attention_num_buckets=buckets,
        relative_attention_max_distance=128,
        feed_forward_proj="gated-gelu",
        layer_norm_epsilon=1e-6,
        dropout_rate=0.0,
    )
    return _agreeing(values, config, text_json)


def text_json(config: UMT5Config) -> dict[str, Any]:
    """The official ``config.json`` of a text encoder."""
    return {
        "_class_name": "WanT5EncoderModel",
        "dim": config.d_model,
        "dim_attn": config.d_kv * config.num_heads,
        "dim_ffn": config.d_ff,
        "num_buckets": config.relative_attention_num_buckets,
        "num_heads": config.num_heads,
        "num_layers": config.num_layers,
        "shared_pos": False,
        "vocab": config.vocab_size,
    }


def read_image(values: Mapping[str, Any], weights: Mapping[str, StoredTensor]) -> CLIPVisionConfig:
    """The vision tower up to the features: its last block and what follows are left out."""
    shapes = Shapes(weights, "model.")
    width, patch = shapes["visual.patch_embedding.weight"][0], shapes["visual.patch_embedding.weight"][-1]
    if width % CLIP_HEAD_WIDTH:
        raise ModelFolderError(f"expected an image encoder with heads of {CLIP_HEAD_WIDTH}, got a width of {width}.")
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=shapes["visual.transformer.0.mlp.0.weight"][0],
        num_hidden_layers=shapes.count("visual.transformer") - 1,
        num_attention_heads=width // CLIP_HEAD_WIDTH,
        image_size=patch * math.isqrt(shapes["visual.pos_embedding"][1] - 1),
        patch_size=patch,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )
    config.feature_layer = LAST_HIDDEN_STATE
    return config


def image_json(config: CLIPVisionConfig) -> dict[str, Any]:
    """The official ``config.json`` of an image encoder says nothing."""
    return {"_class_name": "CLIPModel"}


def read_vggt(values: Mapping[str, Any], weights: Mapping[str, StoredTensor]) -> VGGTConfig:
    """All sizes; the rounds that are kept are the code's."""
    shapes = Shapes(weights)
    width, patch = shapes["aggregator.camera_token"][-1], shapes["aggregator.patch_embed.patch_embed.proj.weight"][-1]
    heads = width // shapes["aggregator.frame_blocks.0.attn.q_norm.weight"][0]
    head = "depth_head.scratch"
    config = VGGTConfig(
        patch_size=patch,
        image_size=patch * math.isqrt(shapes["aggregator.patch_embed.pos_embed"][1] - 1),
        embed_dim=width,
        dino_depth=shapes.count("aggregator.patch_embed.blocks"),
        dino_heads=heads,
        depth=shapes.count("aggregator.frame_blocks"),
        heads=heads,
        mlp_ratio=shapes["aggregator.frame_blocks.0.mlp.fc1.weight"][0] / width,
        register_tokens=shapes["aggregator.register_token"][2],
        camera_depth=shapes.count("camera_head.trunk"),
        camera_heads=heads,
        dense_features=shapes[f"{head}.layer1_rn.weight"][0],
        dense_channels=tuple(shapes[f"depth_head.projects.{level}.weight"][0] for level in range(4)),
        dense_hidden=shapes[f"{head}.output_conv2.0.weight"][0],
    )
    return _agreeing(values, config, vggt_json)


def vggt_json(config: VGGTConfig) -> dict[str, Any]:
    """The ``config.json`` of a VGGT, as its class writes it."""
    return {"embed_dim": config.embed_dim, "img_size": config.image_size, "patch_size": config.patch_size}


def _agreeing(values: Mapping[str, Any], config: Any, json_of: Callable[[Any], dict[str, Any]]) -> Any:
    """``config``, unless the config file states other numbers than the tensors have."""
    for name, seen in json_of(config).items():
        if not name.startswith("_") and values.get(name, seen) != seen:
            raise ModelFolderError(
                f"the config says {name} is {values[name]!r}, the tensors {seen!r}; fetch both again."
            )
    return config
