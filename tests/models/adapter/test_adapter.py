from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gen3r.models.adapter import AdapterConfig, GeometryAdapter, TemporalCache
from gen3r.models.adapter.blocks import CausalConv3d, Downsample, FrameAttention, RMSNorm, Upsample

TINY = AdapterConfig(hidden=4, token_channels=20, resample_scale=2, res_blocks=1, io_kernel=1)
OFFICIAL_SHAPE = AdapterConfig(hidden=4, token_channels=20, resample_scale=2)


def tiny(config: AdapterConfig = TINY) -> GeometryAdapter:
    torch.manual_seed(0)
    adapter = GeometryAdapter(config).eval()
    for module in adapter.modules():
        if isinstance(module, FrameAttention):  # starts as the identity, which would hide it
            torch.nn.init.normal_(module.proj.weight, std=0.5)
    return adapter


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("config", [TINY, OFFICIAL_SHAPE], ids=["io1", "io3"])
@pytest.mark.parametrize(("frames", "grid"), [(1, (4, 4)), (5, (4, 8)), (9, (8, 4))])
@torch.no_grad()
def test_shapes(config: AdapterConfig, frames: int, grid: tuple[int, int]) -> None:
    adapter = tiny(config)
    posterior = adapter.encode(normal(2, 20, frames, *grid))
    size = (2, 16, 1 + (frames - 1) // 4, grid[0] * 7 // 4, grid[1] * 7 // 4)
    assert posterior.mean.shape == posterior.logvar.shape == size
    assert adapter.decode(posterior.mode()).shape == (2, 20, frames, *grid)


@pytest.mark.parametrize("config", [TINY, OFFICIAL_SHAPE], ids=["io1", "io3"])
@torch.no_grad()
def test_streaming_equals_one_pass(config: AdapterConfig) -> None:
    adapter = tiny(config)
    tokens, latents = normal(2, 20, 13, 4, 4), normal(2, 16, 4, 7, 7, seed=2)
    chunks = list(adapter.stream_decode(latents))
    assert [chunk.shape[2] for chunk in chunks] == [1, 4, 4, 4]
    torch.testing.assert_close(torch.cat(chunks, dim=2), adapter.decode(latents), atol=1e-5, rtol=1e-4)
    whole = adapter.encode(tokens)
    for sizes in ([1, 4, 4, 4], [1, 8, 4], [5, 8]):
        streamed = adapter.stream_encode(tokens.split(sizes, dim=2))
        torch.testing.assert_close(streamed.mean, whole.mean, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(streamed.logvar, whole.logvar, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_stream_can_go_on_with_its_cache() -> None:
    adapter, latents = tiny(), normal(1, 16, 4, 7, 7)
    cache = TemporalCache()
    parts = [chunk for part in latents.split(2, dim=2) for chunk in adapter.stream_decode(part, cache=cache)]
    torch.testing.assert_close(torch.cat(parts, dim=2), adapter.decode(latents), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_cache_does_not_grow_with_the_frames() -> None:
    adapter, cache = tiny(), TemporalCache()
    held = [cache.numbers for _ in adapter.stream_decode(normal(1, 16, 6, 7, 7), cache=cache)]
    assert held[1] > 0
    assert len(set(held[1:])) == 1


@given(st.integers(0, 2), st.integers(0, 100))
@settings(max_examples=8, deadline=None)
@torch.no_grad()
def test_a_prefix_of_the_input_gives_a_prefix_of_the_output(groups: int, seed: int) -> None:
    adapter = tiny()
    tokens, latents = normal(1, 20, 9, 4, 4, seed=seed), normal(1, 16, 3, 7, 7, seed=seed + 1)
    frames = 1 + 4 * groups
    torch.testing.assert_close(
        adapter.encode(tokens[:, :, :frames]).mean,
        adapter.encode(tokens).mean[:, :, : groups + 1],
        atol=1e-5,
        rtol=1e-4,
    )
    torch.testing.assert_close(
        adapter.decode(latents[:, :, : groups + 1]), adapter.decode(latents)[:, :, :frames], atol=1e-5, rtol=1e-4
    )


@torch.no_grad()
def test_later_frames_do_matter_later() -> None:
    adapter, latents = tiny(), normal(1, 16, 3, 7, 7)
    changed = latents.clone()
    changed[:, :, 0] += 1
    difference = (adapter.decode(latents) - adapter.decode(changed)).abs().amax(dim=(0, 1, 3, 4))
    assert (difference > 1e-4).all()  # the first latent reaches every frame


@torch.no_grad()
def test_items_of_a_batch_do_not_meet() -> None:
    adapter, latents = tiny(), normal(3, 16, 2, 7, 7)
    tokens = normal(3, 20, 5, 4, 4)
    order = [2, 0, 1]
    torch.testing.assert_close(adapter.decode(latents)[order], adapter.decode(latents[order]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        adapter.encode(tokens).mean[order], adapter.encode(tokens[order]).mean, atol=1e-5, rtol=1e-4
    )


@torch.no_grad()
def test_normalisation_moves_the_mean_and_not_the_variance() -> None:
    plain = replace(TINY, latents_mean=(0.0,) * 16, latents_std=(1.0,) * 16)
    shifted = replace(TINY, latents_mean=(0.5,) * 16, latents_std=(2.0,) * 16)
    tokens = normal(1, 20, 5, 4, 4)
    a, b = tiny(plain), tiny(shifted)
    torch.testing.assert_close((a.encode(tokens).mean - 0.5) / 2, b.encode(tokens).mean)
    assert torch.equal(a.encode(tokens).logvar, b.encode(tokens).logvar)
    raw = a.encode(tokens).mean
    torch.testing.assert_close(a.decode(raw), b.decode((raw - 0.5) / 2), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", [TINY, OFFICIAL_SHAPE], ids=["io1", "io3"])
def test_gradients_reach_every_parameter_and_do_not_change_with_checkpointing(config: AdapterConfig) -> None:
    def gradients(checkpointing: bool) -> dict[str, Tensor | None]:
        adapter = tiny(config)
        adapter.set_gradient_checkpointing(checkpointing)
        posterior = adapter.encode(normal(1, 20, 5, 4, 4))
        loss = adapter.decode(posterior.sample(torch.Generator().manual_seed(0))).square().mean()
        (loss + posterior.kl().mean()).backward()
        return {name: parameter.grad for name, parameter in adapter.named_parameters()}

    plain, recomputed = gradients(False), gradients(True)
    for name, gradient in plain.items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        torch.testing.assert_close(gradient, recomputed[name], atol=1e-6, rtol=1e-4)


@torch.no_grad()
def test_a_pooled_latent_says_the_same_in_every_block_and_reads_nothing_finer() -> None:
    adapter = tiny(replace(TINY, latent_pool=2))
    posterior = adapter.encode(normal(1, TINY.token_channels, 5, 8, 8))
    for moments in (posterior.mean, posterior.logvar):
        blocks = moments.unflatten(-2, (7, 2)).unflatten(-1, (7, 2))
        assert torch.equal(blocks, blocks[..., :1, :, :1].expand_as(blocks))
    plain = tiny()
    plain.load_state_dict(adapter.state_dict())
    latents = posterior.mode()
    checkers = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(7, 7)
    close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
    close(adapter.decode(latents + checkers), adapter.decode(latents))
    close(adapter.decode(latents), plain.decode(latents))
    assert (plain.decode(latents + checkers) - plain.decode(latents)).abs().max() > 1e-3
    with pytest.raises(ValueError, match="no whole blocks"):
        adapter.encode(normal(1, TINY.token_channels, 1, 4, 4))


def test_low_precision_weights_take_float32_latents() -> None:
    adapter = tiny().to(torch.bfloat16)
    posterior = adapter.encode(normal(1, 20, 5, 4, 4))
    assert posterior.mean.dtype == torch.float32
    assert adapter.decode(posterior.mode()).dtype == torch.bfloat16


def test_wrong_frames_and_grids_are_refused() -> None:
    adapter = tiny()
    with pytest.raises(ValueError, match=r"4k\+1 .* got 7; use 5 or 9"):
        adapter.encode(normal(1, 20, 7, 4, 4))
    with pytest.raises(ValueError, match=r"4k\+1"):
        adapter.stream_encode(normal(1, 20, 9, 4, 4).split([1, 3, 5], dim=2))
    with pytest.raises(ValueError, match="multiples of 4"):
        adapter.encode(normal(1, 20, 5, 4, 6))
    with pytest.raises(ValueError, match="pass `grid`"):
        adapter.decode(normal(1, 16, 2, 7, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resample_scale": 3}, "resample_scale"),
        ({"temporal": (True, True)}, "temporal"),
        ({"latents_mean": (0.0,)}, "latents_mean"),
        ({"io_kernel": 2}, "io_kernel"),
    ],
)
def test_contradictory_sizes_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


@torch.no_grad()
def test_blocks_see_the_past_only() -> None:
    torch.manual_seed(0)
    conv = CausalConv3d(3, 3, (3, 3, 3))
    x = normal(1, 3, 6, 4, 4)
    changed = x.clone()
    changed[:, :, 3] += 1
    moved = (conv(x) - conv(changed)).abs().amax(dim=(0, 1, 3, 4)) > 0
    assert moved.tolist() == [False, False, False, True, True, True]


@torch.no_grad()
def test_resampling_leaves_the_first_frame_alone() -> None:
    torch.manual_seed(0)
    down, up = Downsample(4, temporal=True), Upsample(4, temporal=True)
    x = normal(1, 4, 5, 3, 3)
    torch.testing.assert_close(down(x)[:, :, :1], down.spatial(x[:, :, :1]))
    torch.testing.assert_close(up(x)[:, :, :1], up.spatial(x[:, :, :1]))
    assert down(x).shape[2] == 3
    assert up(x).shape[2] == 9
    changed = x.clone()
    changed[:, :, 0] += 1  # the doubling convolution does not see frame 0
    torch.testing.assert_close(up(x)[:, :, 1:], up(changed)[:, :, 1:])


def test_rms_norm_gives_unit_mean_square() -> None:
    y = RMSNorm(8, 3)(normal(2, 8, 3, 2, 2) * 5)
    torch.testing.assert_close(y.square().mean(dim=1), torch.ones(2, 3, 2, 2))
