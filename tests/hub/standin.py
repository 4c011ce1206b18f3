"""A stand-in of the official repository: its folders, files, names and configs, at a size of a few megabytes.

Weights are drawn as the goldens draw theirs, so the same seed always writes the same files. What the official classes
do not write into their configs (width of the VAE, size of CLIP and of umT5, depth of VGGT) is left out here as well.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import UMT5Config, UMT5EncoderModel

from gen3r.hub.convert.adapter import adapter_keys
from gen3r.hub.convert.transformer import transformer_config, transformer_keys
from gen3r.hub.convert.vggt import VGGT_KEYS
from gen3r.hub.convert.wan import text_encoder_keys, vae_keys
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vae import LinearShortcutVAE, VAEConfig
from gen3r.models.vggt import VGGT, VGGTConfig
from parity._reference import reference_weight

FRAMES = 5
"""A short clip that suits the stand-in (the official one is 49)."""
SIDE = 112
"""Image side of that clip."""
SHIFT = 2.0
"""Shift in its scheduler config."""
TEXT_WIDTH, TEXT_LAYERS, VOCABULARY = 32, 2, 96
IMAGE_WIDTH, IMAGE_BLOCKS = 160, 3
FOLDERS = (
    "tokenizer", "text_encoder", "transformer", "clip_image_encoder", "scheduler", "geo_adapter", "wan_vae", "vggt",
)  # fmt: skip
_VERSION = "0.33.1"

VAE_CONFIG = VAEConfig(base_dim=8)
VGGT_CONFIG = VGGTConfig(
    embed_dim=32, dino_depth=2, dino_heads=2, heads=2, camera_depth=2, camera_heads=2, dense_features=16,
    dense_channels=(8, 16, 32, 32), dense_hidden=8,
)  # fmt: skip
ADAPTER_CONFIG = AdapterConfig(hidden=8, token_channels=5 * VGGT_CONFIG.token_dim)
TRANSFORMER_JSON: dict[str, Any] = {
    "_class_name": "WanTransformer3DModel", "_diffusers_version": _VERSION, "add_control_adapter": True,
    "add_ref_conv": False, "cross_attn_norm": True, "cross_attn_type": None, "dim": 48,
    "downscale_factor_control_adapter": 8, "eps": 1e-6, "ffn_dim": 64, "freq_dim": 32, "hidden_size": 1536,
    "in_channels": 32, "in_dim": 36, "in_dim_control_adapter": 24, "in_dim_ref_conv": 16, "model_type": "i2v",
    "num_heads": 2, "num_layers": 2, "out_dim": 16, "patch_size": [1, 2, 2], "qk_norm": True, "text_dim": TEXT_WIDTH,
    "text_len": 512, "window_size": [-1, -1],
}  # fmt: skip
"""``in_channels`` and ``hidden_size`` are the base model's leftovers."""
TEXT_JSON: dict[str, Any] = {
    "_class_name": "WanT5EncoderModel", "_diffusers_version": _VERSION, "dim": TEXT_WIDTH, "dim_attn": 32,
    "dim_ffn": 48, "dropout": 0.0, "num_buckets": 32, "num_heads": 4, "num_layers": TEXT_LAYERS, "shared_pos": False,
    "vocab": VOCABULARY,
}  # fmt: skip
VAE_JSON: dict[str, Any] = {
    "_class_name": "AutoencoderKLWan", "_diffusers_version": _VERSION, "latent_channels": 16,
    "spacial_compression_ratio": 8, "temporal_compression_ratio": 4,
}  # fmt: skip
ADAPTER_JSON: dict[str, Any] = {
    "_class_name": "GeometryAdapter", "_diffusers_version": _VERSION, "hidden_dim": ADAPTER_CONFIG.hidden,
    "input_dim": ADAPTER_CONFIG.token_channels, "latent_channels": 16, "output_dim": ADAPTER_CONFIG.token_channels,
    "resample_scale": 10,
}  # fmt: skip
IMAGE_JSON: dict[str, Any] = {"_class_name": "CLIPModel", "_diffusers_version": _VERSION}
VGGT_JSON: dict[str, Any] = {"embed_dim": VGGT_CONFIG.embed_dim, "img_size": 518, "patch_size": 14}
SCHEDULER_JSON: dict[str, Any] = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": _VERSION, "base_image_seq_len": 256,
    "base_shift": 0.5, "max_image_seq_len": 4096, "max_shift": 1.15, "num_train_timesteps": 1000, "shift": SHIFT,
    "use_dynamic_shifting": False,
}  # fmt: skip
INDEX_JSON: dict[str, Any] = {
    "_class_name": "Gen3RPipeline",
    "_diffusers_version": _VERSION,
    "tokenizer": ["transformers", "T5TokenizerFast"],
    "text_encoder": ["gen3r.models.videoxfun_wan.wan_text_encoder", "WanT5EncoderModel"],
    "transformer": ["gen3r.models.videoxfun_wan.wan_transformer3d", "WanTransformer3DModel"],
    "clip_image_encoder": ["gen3r.models.videoxfun_wan.wan_image_encoder", "CLIPModel"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "geo_adapter": ["gen3r.models.geometry_adapter.geometry_adapter", "GeometryAdapter"],
    "wan_vae": ["gen3r.models.videoxfun_wan.wan_vae", "AutoencoderKLWan"],
    "vggt": ["gen3r.models.vggt.models.vggt", "VGGT"],
}

Shapes = dict[str, tuple[int, ...]]


def build_standin(folder: Path, *, seed: int = 0, vggt: bool = True, max_shard_bytes: int | None = None) -> Path:
    """Write the repository into ``folder`` (new or empty) and return it.

    Args:
        folder: where the files go.
        seed: of all weights.
        vggt: False leaves ``vggt/`` out, as the published repository may.
        max_shard_bytes: larger files (but VGGT's, whose class cannot read shards) are cut into shards with an index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "model_index.json", INDEX_JSON)
    write_json(folder / "scheduler/scheduler_config.json", SCHEDULER_JSON)
    _write_tokenizer(folder / "tokenizer")
    for name, (config, shapes) in standin_networks().items():
        write_json(folder / name / "config.json", config)
        tensors = standin_weights(shapes, seed)
        write_weights(folder / name, "diffusion_pytorch_model", tensors, max_shard_bytes)
    if vggt:
        build_standin_vggt(folder / "vggt", seed=seed)
    return folder


def build_standin_vggt(folder: Path, *, seed: int = 0, track_head: bool = False) -> Path:
    """Write the VGGT that fits the stand-in; with ``track_head`` as in the public repository of VGGT."""
    with torch.device("meta"):
        shapes = _shapes(VGGT_KEYS.export(VGGT(VGGT_CONFIG)))
    if track_head:
        shapes |= {"track_head.feature_extractor.norm.weight": (64,), "track_head.tracker.corr_mlp.fc1.weight": (8, 4)}
    tensors = standin_weights(shapes, seed)
    tensors["camera_head.pose_branch.fc2.weight"] *= 0.05  # poses stay near the first camera, ...
    tensors["camera_head.pose_branch.fc2.bias"][7:] = 0.25  # ... four steps of which add up to one radian of view
    for head in ("depth_head", "point_head"):
        tensors[f"{head}.scratch.output_conv2.2.weight"] *= 0.1  # under an exponential
    write_json(folder / "config.json", VGGT_JSON)
    write_weights(folder, "model", tensors, None)
    return folder


def standin_networks() -> dict[str, tuple[dict[str, Any], Shapes]]:
    """Official config and official shapes of each network but VGGT, by its folder."""
    sizes = replace(transformer_config(TRANSFORMER_JSON), image_dim=IMAGE_WIDTH)
    text = UMT5Config(
        vocab_size=VOCABULARY, d_model=TEXT_WIDTH, d_kv=8, d_ff=48, num_layers=TEXT_LAYERS, num_heads=4,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    with torch.device("meta"):
        transformer = transformer_keys(sizes.num_layers).export(JointTransformer(sizes))
        text_encoder = text_encoder_keys(TEXT_LAYERS).export(UMT5EncoderModel(text))
        adapter = adapter_keys(ADAPTER_CONFIG).export(GeometryAdapter(ADAPTER_CONFIG))
        vae = vae_keys().export(LinearShortcutVAE(VAE_CONFIG).vae)
    text_shapes = _shapes(text_encoder)
    del text_shapes["encoder.embed_tokens.weight"]  # transformers' second name of the one token table
    return {
        "transformer": (TRANSFORMER_JSON, _shapes(transformer)),
        "text_encoder": (TEXT_JSON, text_shapes),
        "geo_adapter": (ADAPTER_JSON, _shapes(adapter)),
        "wan_vae": (VAE_JSON, _shapes(vae)),
        "clip_image_encoder": (IMAGE_JSON, clip_shapes()),
    }


def clip_shapes(width: int = IMAGE_WIDTH, blocks: int = IMAGE_BLOCKS) -> Shapes:
    """All of open_clip's XLM-R ViT, text tower included, under its official names."""
    embed, text, visual, textual = 24, 16, "model.visual", "model.textual"
    shapes: Shapes = {
        "model.log_scale": (),
        f"{visual}.cls_embedding": (1, 1, width),
        f"{visual}.pos_embedding": (1, 257, width),
        f"{visual}.head": (width, embed),
        f"{visual}.patch_embedding.weight": (width, 3, 14, 14),
    }
    for norm in ("pre_norm", "post_norm"):
        shapes |= {f"{visual}.{norm}.{leaf}": (width,) for leaf in ("weight", "bias")}
    layers = {"attn.to_qkv": (3 * width, width), "attn.proj": (width, width)}
    layers |= {"mlp.0": (4 * width, width), "mlp.2": (width, 4 * width)}
    for block in range(blocks):
        at = f"{visual}.transformer.{block}"
        shapes |= {f"{at}.{norm}.{leaf}": (width,) for norm in ("norm1", "norm2") for leaf in ("weight", "bias")}
        shapes |= {f"{at}.{layer}.weight": shape for layer, shape in layers.items()}
        shapes |= {f"{at}.{layer}.bias": shape[:1] for layer, shape in layers.items()}
    shapes |= {
        f"{textual}.token_embedding.weight": (30, text),
        f"{textual}.type_embedding.weight": (1, text),
        f"{textual}.pos_embedding.weight": (18, text),
        f"{textual}.head.0.weight": (20, text),
        f"{textual}.head.2.weight": (embed, 20),
    }
    return shapes


def standin_weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Weights under their official names, each from (seed, name, shape) alone."""
    return {name: reference_weight(name, shape, seed) for name, shape in shapes.items()}


def write_weights(folder: Path, stem: str, tensors: dict[str, Tensor], max_shard_bytes: int | None) -> None:
    """One safetensors file, or shards filled in order with ``<stem>.safetensors.index.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in tensors.items():
        used = sum(value.nbytes for value in shards[-1].values())
        if max_shard_bytes is not None and shards[-1] and used + tensor.nbytes > max_shard_bytes:
            shards.append({})
        shards[-1][name] = tensor
    if len(shards) == 1:
        save_file(tensors, folder / f"{stem}.safetensors", {"format": "pt"})
        return
    files = [f"{stem}-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    for file, shard in zip(files, shards, strict=True):
        save_file(shard, folder / file, {"format": "pt"})
    total = sum(tensor.nbytes for tensor in tensors.values())
    weight_map = {name: file for file, shard in zip(files, shards, strict=True) for name in shard}
    write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})


def write_json(path: Path, content: Any) -> None:
    """Indented JSON as diffusers writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_tokenizer(folder: Path) -> None:
    """A unigram tokenizer as umT5's: metaspace, an end token after each prompt, pad 0, end 1."""
    words = ("a", "red", "ball", "room", "photo", "of", "the", "bad", "detailed", "stone", "garden")
    letters = "abcdefghijklmnopqrstuvwxyz.,▁"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -2.0) for word in words] + [(letter, -6.0) for letter in letters]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    write_json(folder / "special_tokens_map.json", special)
    write_json(
        folder / "tokenizer_config.json",
        special | {"tokenizer_class": "T5Tokenizer", "padding_side": "right", "model_max_length": 512},
    )


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
