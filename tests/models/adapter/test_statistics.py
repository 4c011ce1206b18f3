"""What all tokens have in common is taken off before the adapter and put back after it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.adapter.statistics import TokenStatistics

GRID, CHANNELS = (4, 4), 20
PLAIN = AdapterConfig(hidden=4, token_channels=CHANNELS, resample_scale=5, res_blocks=1, io_kernel=1)


def tokens(clips: int = 3, frames: int = 5, grid: tuple[int, int] = GRID) -> Tensor:
    """Tokens far from zero, which depend on their place, channel by channel differently spread."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.linspace(0.1, 3, CHANNELS).view(-1, 1, 1, 1)
    places = 10 * torch.linspace(-1, 1, grid[0] * grid[1]).view(1, 1, *grid)
    noise = torch.randn(clips, CHANNELS, frames, *grid, generator=generator)
    first = torch.zeros(frames)
    first[0] = 7.0
    return noise * spread + places + 40 * spread + first.view(1, -1, 1, 1)


@pytest.fixture
def statistics() -> TokenStatistics:
    made = TokenStatistics(CHANNELS, GRID)
    made.measure(tokens(20))
    return made


def adapters(statistics: TokenStatistics) -> tuple[GeometryAdapter, GeometryAdapter]:
    """One with the statistics, one of the same weights without."""
    torch.manual_seed(1)
    whole = GeometryAdapter(replace(PLAIN, token_statistics=GRID)).eval()
    assert whole.statistics is not None
    whole.statistics.load_state_dict(statistics.state_dict())
    plain = GeometryAdapter(PLAIN).eval()
    plain.load_state_dict({name: w for name, w in whole.state_dict().items() if not name.startswith("statistics.")})
    return whole, plain


def test_measured_tokens_are_standard_at_every_place(statistics: TokenStatistics) -> None:
    standard = statistics.take_off(tokens(20), 0)
    torch.testing.assert_close(standard[:, :, 1:].mean((0, 2)), torch.zeros(CHANNELS, *GRID), atol=1e-4, rtol=0)
    torch.testing.assert_close(standard[:, :, 0].mean(0), torch.zeros(CHANNELS, *GRID), atol=1e-4, rtol=0)
    torch.testing.assert_close(standard.std((0, 2, 3, 4)), torch.ones(CHANNELS), atol=0.02, rtol=0)


def test_putting_back_undoes_taking_off_wherever_the_part_starts(statistics: TokenStatistics) -> None:
    whole = tokens()
    standard = statistics.take_off(whole, 0)
    torch.testing.assert_close(statistics.put_back(standard, 0), whole, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(statistics.take_off(whole[:, :, 1:], 1), standard[:, :, 1:])


def test_other_grids_see_interpolated_means(statistics: TokenStatistics) -> None:
    coarse = torch.full((1, CHANNELS, 5, 2, 2), 0.0)
    means = -statistics.take_off(coarse, 0) * statistics.std.view(-1, 1, 1, 1)
    blocks = statistics.mean.unflatten(-1, (2, 2)).unflatten(-3, (2, 2)).mean((-1, -3))
    torch.testing.assert_close(means[0, :, 0], blocks[0], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(means[0, :, 3], blocks[1], atol=1e-3, rtol=1e-4)


@torch.no_grad()
def test_an_adapter_with_statistics_is_one_without_on_standard_tokens(statistics: TokenStatistics) -> None:
    whole, plain = adapters(statistics)
    given = tokens()
    latents = whole.encode(given).mean
    torch.testing.assert_close(latents, plain.encode(statistics.take_off(given, 0)).mean)
    torch.testing.assert_close(whole.decode(latents), statistics.put_back(plain.decode(latents), 0))


@torch.no_grad()
def test_streaming_equals_the_whole(statistics: TokenStatistics) -> None:
    adapter, _ = adapters(statistics)
    given = tokens(frames=9)
    latents = adapter.encode(given).mean
    streamed = adapter.stream_encode([given[:, :, :1], given[:, :, 1:5], given[:, :, 5:]]).mean
    torch.testing.assert_close(streamed, latents, atol=1e-4, rtol=1e-4)
    decoded = torch.cat(list(adapter.stream_decode(latents)), dim=2)
    torch.testing.assert_close(decoded, adapter.decode(latents), atol=1e-3, rtol=1e-4)
