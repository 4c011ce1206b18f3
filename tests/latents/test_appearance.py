"""The appearance codec around both kinds of VAE."""

import pytest
import torch
from diffusers import AutoencoderKLWan
from torch import nn

from gen3r.latents.appearance import AppearanceCodec
from gen3r.models.vae import LinearShortcutVAE, VAEConfig

SIZES = {"base_dim": 4, "num_res_blocks": 1}


def diffusers_vae() -> nn.Module:
    torch.manual_seed(0)
    return AutoencoderKLWan(**SIZES).eval()


def linear_vae() -> nn.Module:
    torch.manual_seed(0)
    return LinearShortcutVAE(VAEConfig(**SIZES, linear=True)).eval()


def clip(batch: int = 2, frames: int = 5) -> torch.Tensor:
    return torch.rand(batch, frames, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("make", [diffusers_vae, linear_vae])
@torch.no_grad()
def test_shapes_and_range(make) -> None:
    codec = AppearanceCodec(make(), [0.0] * 16, [1.0] * 16)
    posterior = codec.encode(clip())
    assert posterior.mean.shape == posterior.logvar.shape == (2, 16, 2, 2, 2)
    video = codec.decode(posterior.mode() * 100)
    assert video.shape == clip().shape
    assert 0 <= video.min() < video.max() <= 1


def network_vae(**sizes: object) -> nn.Module:
    torch.manual_seed(0)
    return LinearShortcutVAE(VAEConfig(**SIZES, **sizes)).eval()


def patching_vae() -> nn.Module:
    return network_vae(patch_size=2, dim_mult=(1, 2, 4), temporal_downsample=(True, True))


@pytest.mark.parametrize(
    ("make", "chunks"), [(diffusers_vae, [9]), (network_vae, [1, 4, 4]), (patching_vae, [1, 4, 4])]
)
@torch.no_grad()
def test_streamed_decoding_gives_the_same_frames(make, chunks: list[int]) -> None:
    """Bit by bit; two streams at once do not disturb each other."""
    codec = AppearanceCodec(make(), [0.1] * 16, [2.0] * 16)
    latents = torch.randn(2, 16, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    whole = codec.decode(latents)
    parts, others = zip(*zip(codec.stream_decode(latents), codec.stream_decode(-latents), strict=True), strict=True)
    assert [part.shape[1] for part in parts] == chunks
    assert torch.equal(torch.cat(parts, dim=1), whole)
    assert torch.equal(torch.cat(others, dim=1), codec.decode(-latents))


@torch.no_grad()
def test_streamed_decoding_with_a_linear_code_gives_the_same_frames() -> None:
    codec = AppearanceCodec(linear_vae(), [0.1] * 16, [2.0] * 16)
    latents = torch.randn(2, 16, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(torch.cat(list(codec.stream_decode(latents)), dim=1), codec.decode(latents))


@torch.no_grad()
def test_normalisation_is_undone_by_decoding() -> None:
    mean, std = [i / 10 for i in range(16)], [1 + i / 10 for i in range(16)]
    plain = AppearanceCodec(diffusers_vae(), [0.0] * 16, [1.0] * 16)
    codec = AppearanceCodec(plain.vae, mean, std)
    raw, normal = plain.encode(clip()), codec.encode(clip())
    shift, scale = (torch.tensor(values).view(-1, 1, 1, 1) for values in (mean, std))
    torch.testing.assert_close(normal.mean * scale + shift, raw.mean)
    assert torch.equal(normal.logvar, raw.logvar)
    torch.testing.assert_close(codec.decode(normal.mean), plain.decode(raw.mean), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_batch_and_later_frames_do_not_matter() -> None:
    codec = AppearanceCodec(diffusers_vae(), [0.0] * 16, [1.0] * 16)
    together = codec.encode(clip()).mean
    torch.testing.assert_close(codec.encode(clip()[:1]).mean, together[:1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(codec.encode(clip()[:, :1]).mean, together[:, :, :1], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_low_precision_vae_gives_float32() -> None:
    codec = AppearanceCodec(diffusers_vae().to(torch.bfloat16), [0.0] * 16, [1.0] * 16)
    posterior = codec.encode(clip())
    assert posterior.mean.dtype is torch.float32
    assert codec.decode(posterior.mean).dtype is torch.float32


def test_bad_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match="positive std"):
        AppearanceCodec(diffusers_vae(), [0.0] * 16, [0.0] * 16)
