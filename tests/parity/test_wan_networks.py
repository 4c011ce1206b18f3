"""VAE, text and image encoder of diffusers and transformers, loaded through our tables, against the official ones."""

import pytest
import torch
from diffusers import AutoencoderKLWan
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from gen3r.conditioning.image import clip_pixels_official
from gen3r.conditioning.text import encode_ids
from gen3r.hub.convert.wan import (
    image_encoder_keys,
    split_image_encoder,
    text_encoder_keys,
    tie_text_embedding,
    vae_keys,
)
from parity._goldens import Golden, goldens, manifest
from parity._networks import StoredNoise, appearance_codec, image_encoder, text_encoder, vae

META = torch.device("meta")


def as_video(pixels: torch.Tensor) -> torch.Tensor:
    """Official [B, 3, F, H, W] in -1..1 to ours, [B, F, 3, H, W] in 0..1."""
    return (pixels / 2 + 0.5).transpose(1, 2)


@pytest.mark.parametrize("golden", goldens("wan_vae"), ids=str)
@torch.no_grad()
def test_vae(golden: Golden) -> None:
    model, codec = vae(golden), appearance_codec(golden)
    golden.check("latents_mean", codec.mean)
    golden.check("latents_std", codec.std)
    video = as_video(golden["video"])
    posterior, first = codec.encode(video), codec.encode(video[:, :1])
    golden.check("encode_mean", posterior.mean)
    golden.check("encode_logvar", posterior.logvar)
    golden.check("image_mean", first.mean)
    golden.check("image_logvar", first.logvar)
    golden.check("encode_sample", StoredNoise(codec, golden["eps"]).encode(video).sample())
    golden.check("decode", codec.decode(golden["z"]).transpose(1, 2) * 2 - 1)
    golden.check("decode_first", codec.decode(golden["z"][:, :, :1]).transpose(1, 2) * 2 - 1)
    raw = golden["z"] * golden["latents_std"].view(-1, 1, 1, 1) + golden["latents_mean"].view(-1, 1, 1, 1)
    golden.check("decode_unclamped", model.decode(raw))


@pytest.mark.parametrize("golden", goldens("umt5"), ids=str)
@torch.no_grad()
def test_text_encoder(golden: Golden) -> None:
    features = encode_ids(text_encoder(golden), golden["input_ids"], golden["attention_mask"])
    valid = golden["attention_mask"] > 0
    golden.check("seq_lens", valid.sum(1), exact=True)
    golden.check("hidden", features[valid], expected=golden["hidden"][valid])
    assert not features[~valid].any()


@pytest.mark.parametrize("golden", goldens("clip_visual"), ids=str)
@torch.no_grad()
def test_image_encoder(golden: Golden) -> None:
    image = golden["image01"][None]
    golden.check("pixel_values", clip_pixels_official(image))
    golden.check("pixel_values", clip_pixels_official(golden["image_u8"].permute(2, 0, 1)[None] / 255))
    golden.check("features", image_encoder(golden).encode(image))


def test_full_size_vae_names() -> None:
    with META:
        model = AutoencoderKLWan()
    exported = {name.removeprefix("model."): tuple(value.shape) for name, value in vae_keys().export(model).items()}
    assert exported == {name.removeprefix("model."): shape for name, shape in manifest("wan_vae.full.json").items()}


def test_full_size_text_encoder_names() -> None:
    official = {name: torch.empty(s, device=META) for name, s in manifest("umt5_xxl_encoder.full.json").items()}
    with META:
        config = UMT5Config(
            vocab_size=256384, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64,
            feed_forward_proj="gated-gelu",
        )  # fmt: skip
        model = UMT5EncoderModel(config)
    keys = text_encoder_keys()
    assert set(keys.convert(tie_text_embedding(official), model)) == set(model.state_dict())
    assert set(keys.export(model)) - set(official) == {"encoder.embed_tokens.weight"}
    assert sum(tensor.numel() for tensor in official.values()) == 5_680_910_336


def test_full_size_image_encoder_names() -> None:
    shapes = manifest("clip_xlm_roberta_vit_h14.full.json")
    official = {name: torch.empty(shape, device=META) for name, shape in shapes.items()}
    with META:
        config = CLIPVisionConfig(
            hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=16, patch_size=14
        )
        model = CLIPVisionModel(config)
    assert set(image_encoder_keys().convert(split_image_encoder(official), model)) == set(model.state_dict())
