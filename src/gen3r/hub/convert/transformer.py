"""Names of the released joint transformer (a VideoX-Fun Wan with camera adapter) and ours, which are diffusers'."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gen3r.hub.convert import KeyTable
from gen3r.hub.stored import Weight, changed
from gen3r.models.transformer.config import TransformerConfig

_OUTSIDE = (
    ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
    ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
    ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
    ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
    ("time_projection.1", "condition_embedder.time_proj"),
    ("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
    ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
    ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
    ("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
    ("head.head", "proj_out"),
    ("head.modulation", "scale_shift_table"),
    ("control_adapter.conv", "camera_adapter.conv"),
    ("control_adapter.residual_blocks.0", "camera_adapter.residual_block"),
)

_IN_BLOCK = (
    ("modulation", "scale_shift_table"),
    ("norm3", "norm2"),  # the affine norm before cross-attention
    ("self_attn.q", "attn1.to_q"),
    ("self_attn.k", "attn1.to_k"),
    ("self_attn.v", "attn1.to_v"),
    ("self_attn.o", "attn1.to_out.0"),
    ("self_attn.norm_q", "attn1.norm_q"),
    ("self_attn.norm_k", "attn1.norm_k"),
    ("cross_attn.q", "attn2.to_q"),
    ("cross_attn.k", "attn2.to_k"),
    ("cross_attn.v", "attn2.to_v"),
    ("cross_attn.o", "attn2.to_out.0"),
    ("cross_attn.norm_q", "attn2.norm_q"),
    ("cross_attn.norm_k", "attn2.norm_k"),
    ("cross_attn.k_img", "attn2.add_k_proj"),
    ("cross_attn.v_img", "attn2.add_v_proj"),
    ("cross_attn.norm_k_img", "attn2.norm_added_k"),
    ("ffn.0", "ffn.net.0.proj"),
    ("ffn.2", "ffn.net.2"),
)

_FIXED = {"model_type": "i2v", "qk_norm": True, "add_control_adapter": True, "window_size": [-1, -1]}
"""What other values would make another network."""

_SETTINGS = {
    "patch_size": "patch_size",
    "num_heads": "num_attention_heads",
    "num_layers": "num_layers",
    "ffn_dim": "ffn_dim",
    "in_dim": "in_channels",
    "out_dim": "out_channels",
    "text_dim": "text_dim",
    "text_len": "text_length",
    "freq_dim": "freq_dim",
    "in_dim_control_adapter": "camera_channels",
    "cross_attn_norm": "cross_attn_norm",
    "eps": "eps",
}


def transformer_keys(num_layers: int) -> KeyTable:
    """The table for a transformer of ``num_layers`` blocks."""
    blocks = tuple(
        (f"blocks.{layer}.{official}", f"blocks.{layer}.{ours}")
        for layer in range(num_layers)
        for official, ours in _IN_BLOCK
    )
    return KeyTable(pairs=_OUTSIDE + blocks)


def transformer_config(official: Mapping[str, Any]) -> TransformerConfig:
    """Our config from the official ``config.json`` or constructor arguments.

    ``in_channels`` and ``hidden_size`` of the released file are leftovers of the base model and are not read.

    Raises:
        ValueError: if the file describes another kind of network, or lacks settings.
    """
    for name, expected in _FIXED.items():
        value = official.get(name, expected)
        if (list(value) if isinstance(value, tuple) else value) != expected:
            raise ValueError(f"not a Gen3R transformer: {name} must be {expected}, got {value}.")
    missing = sorted({*_SETTINGS, "dim"} - set(official))
    if missing:
        raise ValueError(f"the transformer config lacks {missing}.")
    settings = {ours: official[name] for name, ours in _SETTINGS.items()}
    settings["attention_head_dim"] = official["dim"] // official["num_heads"]
    return TransformerConfig.from_dict(settings)


def transformer_json(config: TransformerConfig) -> dict[str, Any]:
    """The official ``config.json`` of a transformer of ours."""
    settings = {official: getattr(config, ours) for official, ours in _SETTINGS.items()}
    settings["patch_size"] = list(config.patch_size)
    return {"_class_name": "WanTransformer3DModel", "dim": config.dim, **_FIXED, **settings}


def widen_base_model(official: Mapping[str, Weight], in_channels: int = 36) -> dict[str, Weight]:
    """Official weights of the base model with its patch kernel widened by zeros to ``in_channels``.

    The base model (Wan2.1-Fun Control-Camera) reads 32 channels, noisy and control latents; Gen3R appends the mask and
    starts its training with that part of the kernel at zero. Everything else is taken as it is.

    Raises:
        ValueError: if the kernel is already wider.
    """
    name = "patch_embedding.weight"
    given = official[name].shape[1]
    if given > in_channels:
        raise ValueError(f"{name} reads {given} channels, more than the {in_channels} asked for.")
    return {**official, name: changed(official[name], partial(_widen, in_channels - given))}


def _widen(extra: int, kernel: Tensor) -> Tensor:
    zeros = kernel.new_zeros(kernel.shape[0], extra, *kernel.shape[2:])
    return torch.cat([kernel, zeros], dim=1)
