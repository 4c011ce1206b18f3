"""The small official encoders of the wan goldens, built from diffusers' and transformers' classes."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from gen3r.conditioning.image import ImageEncoder, clip_pixels_official
from gen3r.conditioning.text import encode_ids
from gen3r.hub.convert.transformer import transformer_config, transformer_keys
from gen3r.hub.convert.wan import (
    image_encoder_keys,
    split_image_encoder,
    text_encoder_keys,
    tie_text_embedding,
    vae_keys,
)
from gen3r.latents.appearance import AppearanceCodec
from gen3r.models.posterior import Posterior
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.models.vae import LinearShortcutVAE, VAEConfig
from parity._goldens import Golden

_VAE_NAMES = {"dim": "base_dim", "temperal_downsample": "temporal_downsample"}


def transformer(golden: Golden, **changes: Any) -> JointTransformer:
    """The joint transformer with the official weights of ``golden``."""
    config = transformer_config(golden.hyperparameters)
    model = JointTransformer(TransformerConfig(**{**config.__dict__, **changes})).eval()
    transformer_keys(config.num_layers).load(model, golden.weights())
    return model


def vae(golden: Golden) -> LinearShortcutVAE:
    """The Wan VAE at the width the official builder was given."""
    overrides = golden.hyperparameters["_inner_overrides"]
    config = VAEConfig(
        z_dim=golden.hyperparameters["latent_channels"],
        **{
            _VAE_NAMES.get(name, name): tuple(value) if isinstance(value, list) else value
            for name, value in overrides.items()
        },
    )
    model = LinearShortcutVAE(config).eval()
    vae_keys(len(config.dim_mult), config.num_res_blocks).load(model.vae, golden.weights())
    return model


def appearance_codec(golden: Golden) -> AppearanceCodec:
    """Its codec, with the official normalisation."""
    model = vae(golden)
    return AppearanceCodec(model.vae, model.config.latents_mean, model.config.latents_std)


def text_encoder(golden: Golden) -> UMT5EncoderModel:
    """The umT5 encoder."""
    sizes = golden.hyperparameters
    config = UMT5Config(
        vocab_size=sizes["vocab"],
        d_model=sizes["dim"],
        d_kv=sizes["dim_attn"] // sizes["num_heads"],
        d_ff=sizes["dim_ffn"],
        num_layers=sizes["num_layers"],
        num_heads=sizes["num_heads"],
        relative_attention_num_buckets=sizes["num_buckets"],
        relative_attention_max_distance=128,
        feed_forward_proj="gated-gelu",
        layer_norm_epsilon=1e-6,
        dropout_rate=sizes["dropout_p"],
    )
    model = UMT5EncoderModel(config).eval()
    text_encoder_keys(sizes["num_layers"]).load(model, tie_text_embedding(golden.weights()))
    return model


def text_features(encoder: UMT5EncoderModel, *prompts: Tensor) -> Tensor:
    """Features of un-padded token ids, one row per prompt, zero where a prompt has ended."""
    ids = pad_sequence(list(prompts), batch_first=True)
    mask = pad_sequence([torch.ones_like(prompt) for prompt in prompts], batch_first=True)
    return encode_ids(encoder, ids, mask)


def image_encoder(golden: Golden) -> ImageEncoder:
    """The CLIP visual tower with the official preprocessing."""
    sizes = golden.hyperparameters
    config = CLIPVisionConfig(
        hidden_size=sizes["vision_dim"],
        intermediate_size=sizes["vision_dim"] * sizes["vision_mlp_ratio"],
        num_hidden_layers=sizes["vision_layers"],
        num_attention_heads=sizes["vision_heads"],
        image_size=224,
        patch_size=14,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )
    model = CLIPVisionModel(config).eval()
    image_encoder_keys(sizes["vision_layers"]).load(model, split_image_encoder(golden.weights()))
    return ImageEncoder(model, clip_pixels_official)


@dataclass(frozen=True, kw_only=True)
class StoredDraw(Posterior):
    """A posterior that is sampled with stored noise."""

    noise: Tensor

    def sample(self, generator: object = None) -> Tensor:
        """The official sample."""
        return self.mean + torch.exp(0.5 * self.logvar) * self.noise


class StoredNoise:
    """A codec whose posterior is sampled with stored noise."""

    def __init__(self, codec: AppearanceCodec, noise: Tensor) -> None:
        self.codec = codec
        self.noise = noise

    def encode(self, images: Tensor, /) -> Posterior:
        posterior = self.codec.encode(images)
        return StoredDraw(mean=posterior.mean, logvar=posterior.logvar, noise=self.noise)
