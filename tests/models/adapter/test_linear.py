"""The linear path past the convolutions: what it keeps, and that nothing is added to it before training."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.adapter.linear import LinearTokenCode

GRID, CHANNELS, LATENT = (4, 4), 40, 16
CONFIG = AdapterConfig(
    hidden=4, token_channels=CHANNELS, resample_scale=5, res_blocks=1, io_kernel=1, token_statistics=GRID, linear=True,
    latents_mean=(0.0,) * LATENT, latents_std=(1.0,) * LATENT,
)  # fmt: skip


def tokens(rank: int, clips: int = 4, frames: int = 9) -> Tensor:
    """Tokens that are mixtures of so many patterns of a frame, or of a group of four frames."""
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    first = torch.einsum("nrhw,rc->nchw", draw(clips, rank, *GRID), draw(rank, CHANNELS))[:, :, None]
    groups = torch.einsum("nfrhw,rgc->ncfghw", draw(clips, (frames - 1) // 4, rank, *GRID), draw(rank, 4, CHANNELS))
    return torch.cat([first, groups.flatten(2, 3)], dim=2)


def fitted(given: Tensor) -> GeometryAdapter:
    torch.manual_seed(1)
    adapter = GeometryAdapter(CONFIG).eval()
    assert adapter.statistics is not None
    assert adapter.linear is not None
    adapter.statistics.measure(given)
    adapter.linear.fit(adapter.statistics.take_off(given, 0))
    return adapter


@torch.no_grad()
def test_tokens_of_no_more_patterns_than_channels_survive_before_any_training() -> None:
    given = tokens(rank=8)
    adapter = fitted(given)
    torch.testing.assert_close(adapter.decode(adapter.encode(given).mean), given, atol=2e-3, rtol=1e-3)


@torch.no_grad()
def test_what_more_patterns_leave_is_less_the_more_channels_there_are() -> None:
    given = tokens(rank=30, clips=16)
    standard = given - given.mean((0, 2, 3, 4), keepdim=True)
    left = []
    for channels in (4, 8, 16):
        torch.manual_seed(0)
        code = LinearTokenCode(CHANNELS, channels, 4)
        code.fit(standard)
        left.append(float((code.decode(code.encode(standard, (7, 7), 0), GRID, 0) - standard).square().mean()))
    assert left[0] > 1.1 * left[1] > 1.2 * left[2] > 0


@torch.no_grad()
def test_latents_of_the_linear_path_have_unit_variance_at_the_tokens() -> None:
    given = tokens(rank=30, clips=16)
    code = LinearTokenCode(CHANNELS, LATENT, 4)
    code.fit(given)
    places = code.encode(given, GRID, 0)
    power = places.square().mean((0, 3, 4))  # of the first latent frame and of the others
    torch.testing.assert_close(power[:, 0], torch.ones(LATENT), atol=1e-3, rtol=0)
    torch.testing.assert_close(power[:, 1:].mean(1), torch.ones(LATENT), atol=1e-3, rtol=0)


@torch.no_grad()
def test_streaming_equals_the_whole() -> None:
    given = tokens(rank=30)
    adapter = fitted(given)
    torch.nn.init.normal_(adapter.moments.weight, std=0.1)  # so that both paths speak
    torch.nn.init.normal_(adapter.decoder.exit.weight, std=0.1)
    latents = adapter.encode(given).mean
    streamed = adapter.stream_encode([given[:, :, :5], given[:, :, 5:]]).mean
    torch.testing.assert_close(streamed, latents, atol=1e-4, rtol=1e-4)
    decoded = torch.cat(list(adapter.stream_decode(latents)), dim=2)
    torch.testing.assert_close(decoded, adapter.decode(latents), atol=1e-3, rtol=1e-3)


def test_the_silent_convolutions_learn() -> None:
    given = tokens(rank=30)
    adapter = fitted(given).train()
    posterior = adapter.encode(given)
    (adapter.decode(posterior.sample(torch.Generator().manual_seed(0))) - given).square().mean().backward()
    for layer in (adapter.moments, adapter.decoder.exit):
        assert layer.weight.grad is not None
        assert layer.weight.grad.abs().max() > 0


def test_without_statistics_there_is_no_linear_path() -> None:
    with pytest.raises(ValueError, match="token_statistics"):
        replace(CONFIG, token_statistics=None)
