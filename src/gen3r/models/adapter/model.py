"""The geometry adapter: VGGT tokens of a video to a latent of the size of the video VAE's, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gen3r.models.adapter.blocks import CausalConv3d, Downsample, FrameConv, Middle, ResidualBlock, RMSNorm, Upsample
from gen3r.models.adapter.cache import TemporalCache
from gen3r.models.adapter.config import AdapterConfig
from gen3r.models.adapter.linear import LinearTokenCode
from gen3r.models.adapter.statistics import TokenStatistics
from gen3r.models.posterior import Posterior

# B batch, C token channels (5D), F frames, f latent frames, gh gw token grid, h w latent cells, z latent channels


_FIRST_LOGVAR = -4.0
"""Log-variance of the latents before training, where a linear path makes them."""


class Stage(nn.Module):
    """Residual blocks, with the resampling layer that follows (encoder) if any."""

    def __init__(self, channels: int, out: int, blocks: int, resample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(channels if i == 0 else out, out) for i in range(blocks))
        self.resample = resample

    def forward(self, x: Float[Tensor, "B C T h w"], cache: TemporalCache | None = None) -> Float[Tensor, "B D T2 h w"]:
        for block in self.blocks:
            x = block(x, cache)
        return x if self.resample is None else self.resample(x, cache)


class Encoder(nn.Module):
    """Tokens to 2z moments. All frames at once, or in order with a cache (the first call starts at frame 0)."""

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.hidden * m for m in (config.multipliers[0], *config.multipliers)]
        kernel = config.io_kernel
        self.entry = FrameConv(config.token_channels, config.resampled_channels, kernel, padding=kernel // 2)
        self.widen = CausalConv3d(config.resampled_channels, widths[0], (3, 3, 3))
        self.stages = nn.ModuleList(
            Stage(widths[i], widths[i + 1], config.res_blocks, Downsample(widths[i + 1], temporal=temporal))
            for i, temporal in enumerate(config.temporal)
        )
        self.stages.append(Stage(widths[-2], widths[-1], config.res_blocks, None))
        self.middle = Middle(widths[-1])
        self.head_norm = RMSNorm(widths[-1], 3)
        self.head = CausalConv3d(widths[-1], 2 * config.latent_channels, (3, 3, 3))
        self.gradient_checkpointing = False

    def forward(
        self, tokens: Float[Tensor, "B C F gh gw"], cache: TemporalCache | None = None
    ) -> Float[Tensor, "B z2 f h w"]:
        size = self.config.latent_size((tokens.shape[-2], tokens.shape[-1]))
        step = self.config.time_factor  # the widest maps exist for a few frames at a time
        recompute = self.gradient_checkpointing and cache is None
        x = self.widen(_by_frames(lambda part: self._enter(part, size), tokens, step, recompute), cache)
        for stage in (*self.stages, self.middle):
            x = _run(stage, x, cache, recompute)
        return self.head(F.silu(self.head_norm(x)), cache)

    def _enter(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        tokens = tokens.to(self.entry.weight.dtype)
        if self.config.io_kernel == 1:  # point-wise: the same before or after the resize, and cheaper before
            return _nearest(self.entry(tokens), size)
        return self.entry(_nearest(tokens, size))


class Decoder(nn.Module):
    """Raw latents to tokens. All at once, or in order with a cache (the first call starts at latent 0)."""

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.hidden * m for m in (config.multipliers[-1], *reversed(config.multipliers))]
        self.widen = CausalConv3d(config.latent_channels, widths[0], (3, 3, 3))
        self.middle = Middle(widths[0])
        blocks = config.res_blocks + 1
        upsamples = [Upsample(widths[i + 1], temporal=temporal) for i, temporal in enumerate(reversed(config.temporal))]
        self.stages = nn.ModuleList(
            Stage(widths[i] if i == 0 else widths[i] // 2, widths[i + 1], blocks, upsample)
            for i, upsample in enumerate([*upsamples, None])
        )
        self.head_norm = RMSNorm(widths[-1], 3)
        self.head = CausalConv3d(widths[-1], config.resampled_channels, (3, 3, 3))
        self.exit = FrameConv(config.resampled_channels, config.token_channels, max(config.io_kernel, 2), stride=2)
        self.gradient_checkpointing = False

    def forward(
        self, latents: Float[Tensor, "B z f h w"], grid: tuple[int, int], cache: TemporalCache | None = None
    ) -> Float[Tensor, "B C F gh gw"]:
        recompute = self.gradient_checkpointing and cache is None
        x = self.widen(latents, cache)
        for stage in (self.middle, *self.stages):
            x = _run(stage, x, cache, recompute)
        x = self.head(F.silu(self.head_norm(x)), cache)
        return _by_frames(lambda part: self._leave(part, grid), x, self.config.time_factor, recompute)

    def _leave(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        x = _nearest(x, (2 * grid[0], 2 * grid[1]))
        border = self.config.io_kernel // 2  # zeros at the right and the bottom only
        return self.exit(F.pad(x, (0, border, 0, border)))


class GeometryAdapter(nn.Module):
    """A causal autoencoder between geometry tokens and a latent that sits beside the video latent.

    4k + 1 frames become k + 1 latent frames; any prefix of the frames gives a prefix of the latents, and back.
    """

    def __init__(self, config: AdapterConfig | None = None) -> None:
        super().__init__()
        self.config = config or AdapterConfig()
        channels = self.config.latent_channels
        self.encoder = Encoder(self.config)
        self.moments = nn.Conv3d(2 * channels, 2 * channels, 1)
        self.unmoments = nn.Conv3d(channels, channels, 1)
        self.decoder = Decoder(self.config)
        grid = self.config.token_statistics
        self.statistics = None if grid is None else TokenStatistics(self.config.token_channels, grid)
        self.linear = None
        if self.config.linear:
            self.linear = LinearTokenCode(self.config.token_channels, channels, self.config.time_factor)
            self._silence()

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether activations are computed again in the backward pass."""
        return self.encoder.gradient_checkpointing and self.decoder.gradient_checkpointing

    def set_gradient_checkpointing(self, enabled: bool) -> None:
        """Recompute activations in the backward pass: far less memory, about a third more time."""
        self.encoder.gradient_checkpointing = enabled
        self.decoder.gradient_checkpointing = enabled

    def encode(self, tokens: Float[Tensor, "B C F gh gw"]) -> Posterior:
        """Posterior of the latent [B, 16, f, h, w]: the mean is normalised, the log-variance is not (as released).

        `tokens` are [B, 5D, F, gh, gw] with F = 4k + 1 and gh, gw multiples of 4; ValueError otherwise.
        """
        self._check_frames(tokens.shape[2])
        return self._posterior(self._encoded(tokens, 0, None))

    def stream_encode(self, chunks: Iterable[Tensor]) -> Posterior:
        """The same from consecutive chunks [B, 5D, T, gh, gw] (4k + 1 frames, then multiples of 4), one at a time."""
        cache = TemporalCache()
        moments, frames = [], 0
        for tokens in chunks:
            start, frames = frames, frames + tokens.shape[2]
            self._check_frames(frames)
            moments.append(self._encoded(tokens, start, cache))
        return self._posterior(torch.cat(moments, dim=2))

    def decode(
        self, latents: Float[Tensor, "B z f h w"], grid: tuple[int, int] | None = None
    ) -> Float[Tensor, "B C F gh gw"]:
        """Tokens [B, 5D, F, gh, gw], F = 1 + 4(f - 1), from normalised latents; `grid` (gh, gw) defaults to theirs."""
        return self._decoded(latents, self._grid(latents, grid), 0, None)

    def stream_decode(
        self,
        latents: Float[Tensor, "B z f h w"],
        grid: tuple[int, int] | None = None,
        cache: TemporalCache | None = None,
    ) -> Iterator[Float[Tensor, "B C T gh gw"]]:
        """The same tokens as consecutive chunks of 1, 4, 4, ... frames, in memory that does not grow with the frames.

        Pass the `cache` of an earlier call to go on where it ended.
        """
        grid = self._grid(latents, grid)
        cache = TemporalCache() if cache is None else cache
        for latent in latents.split(1, dim=2):
            yield self._decoded(latent, grid, int(self.decoder.widen in cache), cache)

    def _encoded(self, tokens: Tensor, start: int, cache: TemporalCache | None) -> Float[Tensor, "B z2 f h w"]:
        """Raw moments of frames from number `start` on."""
        if self.statistics is not None:
            tokens = self.statistics.take_off(tokens, start)
        moments = self.moments(self.encoder(tokens, cache))
        if self.linear is None:
            return moments
        size = (moments.shape[-2], moments.shape[-1])
        return moments + F.pad(self.linear.encode(tokens, size, start), (0, 0) * 3 + (0, moments.shape[1] // 2))

    def _decoded(
        self, latents: Tensor, grid: tuple[int, int], start: int, cache: TemporalCache | None
    ) -> Float[Tensor, "B C F gh gw"]:
        """Tokens of normalised latents; `start` is 0 for the first latent of a clip."""
        offset, scale = self._statistics(latents)
        raw = self._pooled(latents * scale + offset)
        tokens = self.decoder(self.unmoments(raw.to(self.unmoments.weight.dtype)), grid, cache)
        if self.linear is not None:
            tokens = tokens + self.linear.decode(raw, grid, start)
        return tokens if self.statistics is None else self.statistics.put_back(tokens, start)

    def _posterior(self, moments: Tensor) -> Posterior:
        moments = self._pooled(moments)
        mean, logvar = moments.to(torch.promote_types(moments.dtype, torch.float32)).chunk(2, dim=1)
        offset, scale = self._statistics(mean)
        return Posterior(mean=(mean - offset) / scale, logvar=logvar)

    @torch.no_grad()
    def _silence(self) -> None:
        """Let the convolutions add nothing at first, and the latents be nearly certain."""
        for layer in (self.moments, self.decoder.exit):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        assert self.moments.bias is not None
        self.moments.bias[self.config.latent_channels :] = _FIRST_LOGVAR

    def _pooled(self, x: Float[Tensor, "B C f h w"]) -> Float[Tensor, "B C f h w"]:
        """Every block of ``latent_pool`` cells per side replaced by its mean."""
        cells = self.config.latent_pool
        if cells == 1:
            return x
        return F.avg_pool3d(x, (1, cells, cells)).repeat_interleave(cells, -2).repeat_interleave(cells, -1)

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        shape = (1, -1, 1, 1, 1)
        mean, std = like.new_tensor(self.config.latents_mean), like.new_tensor(self.config.latents_std)
        return mean.view(shape), std.view(shape)

    def _check_frames(self, frames: int) -> None:
        factor = self.config.time_factor
        if (frames - 1) % factor:
            low = (frames - 1) // factor * factor + 1
            nearest = f"{low} or {low + factor}"
            raise ValueError(f"frames must be {factor}k+1 for whole latent frames, got {frames}; use {nearest}.")

    def _grid(self, latents: Tensor, grid: tuple[int, int] | None) -> tuple[int, int]:
        return grid or self.config.token_grid((latents.shape[-2], latents.shape[-1]))


def _nearest(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=(x.shape[2], *size), mode="nearest-exact")


def _by_frames(work: Callable[[Tensor], Tensor], x: Tensor, step: int, recompute: bool) -> Tensor:
    """`work` on `step` frames (axis 2) at a time; with `recompute` its activations live for one part at a time."""
    if recompute and torch.is_grad_enabled():
        parts = [checkpoint(work, part, use_reentrant=False) for part in x.split(step, dim=2)]
    else:
        parts = [work(part) for part in x.split(step, dim=2)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _run(stage: nn.Module, x: Tensor, cache: TemporalCache | None, recompute: bool) -> Tensor:
    if recompute and torch.is_grad_enabled():
        return checkpoint(stage, x, None, use_reentrant=False)
    return stage(x, cache)
