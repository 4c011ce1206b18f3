"""Names of the released VAE, text and image encoders (VideoX-Fun Wan) and those of diffusers and transformers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from gen3r.hub.convert import KeyTable
from gen3r.hub.stored import Weight, changed, joined

_RESIDUAL = (
    ("residual.0", "norm1"),
    ("residual.2", "conv1"),
    ("residual.3", "norm2"),
    ("residual.6", "conv2"),
    ("shortcut", "conv_shortcut"),
)


def _residual(official: str, ours: str) -> list[tuple[str, str]]:
    return [(f"{official}.{old}", f"{ours}.{new}") for old, new in _RESIDUAL]


def vae_keys(levels: int = 4, num_res_blocks: int = 2) -> KeyTable:
    """Wan VAE to diffusers' ``AutoencoderKLWan`` with ``levels`` resolutions."""
    pairs = [("conv1", "quant_conv"), ("conv2", "post_quant_conv")]
    for part in ("encoder", "decoder"):
        pairs += [
            (f"{part}.conv1", f"{part}.conv_in"),
            (f"{part}.head.0", f"{part}.norm_out"),
            (f"{part}.head.2", f"{part}.conv_out"),
            (f"{part}.middle.1", f"{part}.mid_block.attentions.0"),
            *_residual(f"{part}.middle.0", f"{part}.mid_block.resnets.0"),
            *_residual(f"{part}.middle.2", f"{part}.mid_block.resnets.1"),
        ]
    for index in range(levels * (num_res_blocks + 1) - 1):
        name = f"encoder.downsamples.{index}", f"encoder.down_blocks.{index}"
        pairs += [name, *_residual(*name)]
    index = 0
    for level in range(levels):
        for block in range(num_res_blocks + 1):
            pairs += _residual(f"decoder.upsamples.{index}", f"decoder.up_blocks.{level}.resnets.{block}")
            index += 1
        if level < levels - 1:
            pairs.append((f"decoder.upsamples.{index}", f"decoder.up_blocks.{level}.upsamplers.0"))
            index += 1
    return KeyTable(pairs=tuple(pairs), prefix="model.")


def text_encoder_keys(num_layers: int = 24) -> KeyTable:
    """umT5 encoder to transformers' ``UMT5EncoderModel``; see :func:`tie_text_embedding`."""
    pairs = [("token_embedding", "shared"), ("norm", "encoder.final_layer_norm")]
    for layer in range(num_layers):
        official, ours = f"blocks.{layer}", f"encoder.block.{layer}.layer"
        pairs += [
            (f"{official}.norm1", f"{ours}.0.layer_norm"),
            *((f"{official}.attn.{name}", f"{ours}.0.SelfAttention.{name}") for name in "qkvo"),
            (f"{official}.pos_embedding.embedding", f"{ours}.0.SelfAttention.relative_attention_bias"),
            (f"{official}.norm2", f"{ours}.1.layer_norm"),
            (f"{official}.ffn.gate.0", f"{ours}.1.DenseReluDense.wi_0"),
            (f"{official}.ffn.fc1", f"{ours}.1.DenseReluDense.wi_1"),
            (f"{official}.ffn.fc2", f"{ours}.1.DenseReluDense.wo"),
        ]
    return KeyTable(pairs=tuple(pairs))


def tie_text_embedding(official: Mapping[str, Weight]) -> dict[str, Weight]:
    """Add the second name under which transformers keeps the (one) token table."""
    return {**official, "encoder.embed_tokens.weight": official["token_embedding.weight"]}


def image_encoder_keys(num_layers: int = 32, unused_blocks: int = 0) -> KeyTable:
    """Visual tower of open_clip's ViT to transformers' ``CLIPVisionModel``, after :func:`split_image_encoder`.

    ``num_layers`` are ours; with ``unused_blocks`` the official tower has that many more at its end, which are left
    out together with the norm after them.
    """
    pairs = [
        ("visual.cls_embedding", "embeddings.class_embedding"),
        ("visual.patch_embedding", "embeddings.patch_embedding"),
        ("visual.pos_embedding", "embeddings.position_embedding.weight"),
        ("visual.pre_norm", "pre_layrnorm"),
        ("visual.post_norm", "post_layernorm"),
    ]
    for layer in range(num_layers):
        official, ours = f"visual.transformer.{layer}", f"encoder.layers.{layer}"
        pairs += [
            (f"{official}.norm1", f"{ours}.layer_norm1"),
            (f"{official}.norm2", f"{ours}.layer_norm2"),
            *((f"{official}.attn.to_{name}", f"{ours}.self_attn.{name}_proj") for name in "qkv"),
            (f"{official}.attn.proj", f"{ours}.self_attn.out_proj"),
            (f"{official}.mlp.0", f"{ours}.mlp.fc1"),
            (f"{official}.mlp.2", f"{ours}.mlp.fc2"),
        ]
    ignored = ["visual.head", "textual", "log_scale"]
    if unused_blocks:
        ignored.append("visual.post_norm")
    ignored += [f"visual.transformer.{num_layers + block}" for block in range(unused_blocks)]
    return KeyTable(pairs=tuple(pairs), prefix="model.", ignored=tuple(ignored))


def split_image_encoder(official: Mapping[str, Weight]) -> dict[str, Weight]:
    """Reshape what differs in more than its name: the fused q, k, v, and the class and position tables."""
    split: dict[str, Weight] = {}
    for name, tensor in official.items():
        if ".attn.to_qkv." in name:
            for part, letter in enumerate("qkv"):
                split[name.replace("to_qkv", f"to_{letter}")] = changed(tensor, partial(_third, part))
        elif name.endswith("visual.cls_embedding"):
            split[name] = changed(tensor, torch.flatten)
        elif name.endswith("visual.pos_embedding"):
            split[name] = changed(tensor, partial(torch.squeeze, dim=0))
        else:
            split[name] = tensor
    return split


def fuse_image_encoder(split: Mapping[str, Weight]) -> dict[str, Weight]:
    """The inverse of :func:`split_image_encoder`."""
    fused: dict[str, Weight] = {}
    for name, tensor in split.items():
        if ".attn.to_q." in name:
            parts = [split[name.replace("to_q", f"to_{letter}")] for letter in "qkv"]
            fused[name.replace("to_q", "to_qkv")] = joined(parts, torch.cat)
        elif name.endswith("visual.cls_embedding"):
            fused[name] = changed(tensor, lambda table: table[None, None])
        elif name.endswith("visual.pos_embedding"):
            fused[name] = changed(tensor, lambda table: table[None])
        elif ".attn.to_k." not in name and ".attn.to_v." not in name:
            fused[name] = tensor
    return fused


def _third(part: int, tensor: Tensor) -> Tensor:
    return tensor.chunk(3, dim=0)[part]
