"""Causal 3D pieces of the adapter, as in Wan's video VAE. Tensors are [B, C, T, h, w]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.models.adapter.cache import TemporalCache


class CausalConv3d(nn.Conv3d):
    """A convolution that sees the present and the past: zeros on the left in time, on both sides in space."""

    def __init__(self, channels: int, out: int, kernel: tuple[int, int, int]) -> None:
        super().__init__(channels, out, kernel, padding=(0, kernel[1] // 2, kernel[2] // 2))

    def forward(self, x: Float[Tensor, "B C T h w"], cache: TemporalCache | None = None) -> Float[Tensor, "B D T h w"]:
        past = self.kernel_size[0] - 1
        if past:
            if cache is not None and self in cache:
                x = torch.cat([cache[self], x], dim=2)
            else:
                x = F.pad(x, (0, 0, 0, 0, past, 0))
            if cache is not None:
                cache.keep(self, x, past)
        return super().forward(x)


class FrameConv(nn.Conv2d):
    """A 2D convolution applied to every frame of a video."""

    def __init__(self, channels: int, out: int, kernel: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__(channels, out, kernel, stride=stride, padding=padding)
        self.kernel_padding = (padding, padding)

    def forward(self, x: Float[Tensor, "B C T h w"]) -> Float[Tensor, "B D T h2 w2"]:
        rows, columns = self.kernel_padding
        return F.conv3d(x, self.weight.unsqueeze(2), self.bias, (1, *self.stride), (0, rows, columns))


class RMSNorm(nn.Module):
    """x / max(|x|, 1e-12) * sqrt(C) * gamma, over the channels (axis 1)."""

    def __init__(self, channels: int, trailing: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *(1,) * trailing))

    def forward(self, x: Float[Tensor, "B C *shape"]) -> Float[Tensor, "B C *shape"]:
        return F.normalize(x, dim=1) * (self.gamma.shape[0] ** 0.5 * self.gamma)


class ResidualBlock(nn.Module):
    """Twice (norm, SiLU, causal 3x3x3), plus the input."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.norm1 = RMSNorm(channels, 3)
        self.conv1 = CausalConv3d(channels, out, (3, 3, 3))
        self.norm2 = RMSNorm(out, 3)
        self.conv2 = CausalConv3d(out, out, (3, 3, 3))
        self.shortcut = nn.Conv3d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Float[Tensor, "B C T h w"], cache: TemporalCache | None = None) -> Float[Tensor, "B D T h w"]:
        y = self.conv1(F.silu(self.norm1(x)), cache)
        y = self.conv2(F.silu(self.norm2(y)), cache)
        return y + self.shortcut(x)


class FrameAttention(nn.Module):
    """Single-head attention over the positions of each frame, plus the input. Starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = RMSNorm(channels, 2)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.proj.weight)

    def forward(self, x: Float[Tensor, "B C T h w"]) -> Float[Tensor, "B C T h w"]:
        frames = x.transpose(1, 2).flatten(0, 1)
        tokens = self.qkv(self.norm(frames)).flatten(2).transpose(1, 2).contiguous()
        q, k, v = tokens.unsqueeze(1).chunk(3, dim=-1)
        out = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2)
        out = self.proj(out.unflatten(2, x.shape[-2:]))
        return x + out.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)


class Middle(nn.Module):
    """Residual block, attention, residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before = ResidualBlock(channels, channels)
        self.attention = FrameAttention(channels)
        self.after = ResidualBlock(channels, channels)

    def forward(self, x: Float[Tensor, "B C T h w"], cache: TemporalCache | None = None) -> Float[Tensor, "B C T h w"]:
        return self.after(self.attention(self.before(x, cache)), cache)


class Downsample(nn.Module):
    """A 3x3 convolution per frame; with `temporal` also 1 + 2k frames to 1 + k, the first frame untouched by that."""

    def __init__(self, channels: int, *, temporal: bool) -> None:
        super().__init__()
        self.spatial = FrameConv(channels, channels, 3, padding=1)
        self.time = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1)) if temporal else None

    def forward(self, x: Float[Tensor, "B C T h w"], cache: TemporalCache | None = None) -> Float[Tensor, "B C T2 h w"]:
        x = self.spatial(x)
        return x if self.time is None else self._halve(x, self.time, cache)

    def _halve(self, x: Tensor, time: nn.Conv3d, cache: TemporalCache | None) -> Tensor:
        last = cache[self] if cache is not None and self in cache else None
        if cache is not None:
            cache.keep(self, x, 1)
        if last is not None:
            return time(torch.cat([last, x], dim=2))
        return torch.cat([x[:, :, :1], time(x)], dim=2) if x.shape[2] > 1 else x


class Upsample(nn.Module):
    """If `temporal`, 1 + k frames to 1 + 2k, frame 0 passing unseen; then a 3x3 convolution to half the width."""

    def __init__(self, channels: int, *, temporal: bool) -> None:
        super().__init__()
        self.time = CausalConv3d(channels, 2 * channels, (3, 1, 1)) if temporal else None
        self.spatial = FrameConv(channels, channels // 2, 3, padding=1)

    def forward(self, x: Float[Tensor, "B C T h w"], cache: TemporalCache | None = None) -> Float[Tensor, "B D T2 h w"]:
        return self.spatial(x if self.time is None else self._double(x, self.time, cache))

    def _double(self, x: Tensor, time: CausalConv3d, cache: TemporalCache | None) -> Tensor:
        started = cache is not None and self in cache
        if cache is not None:
            cache.keep(self, x, 0)
        first, rest = (x[:, :, :0], x) if started else (x[:, :, :1], x[:, :, 1:])
        if rest.shape[2] == 0:
            return first
        earlier, later = time(rest, cache).chunk(2, dim=1)
        pairs = torch.stack([earlier, later], dim=3).flatten(2, 3)
        return torch.cat([first, pairs], dim=2)
