"""The DPT head (Ranftl et al. 2021) of VGGT: four token layers to one dense map with a confidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.models.vggt.config import VGGTConfig

# N frames, gh gw token grid, c channels

UV_SCALE = 0.1


def depth_from_raw(raw: Float[Tensor, "N H W 1"]) -> Float[Tensor, "N H W"]:
    """Depth = exp(x): always positive."""
    return raw[..., 0].exp()


def points_from_raw(raw: Float[Tensor, "N H W 3"]) -> Float[Tensor, "N H W 3"]:
    """Points = sign(x) * (exp(|x|) - 1): the inverse of a signed logarithm."""
    return raw.sign() * raw.abs().expm1()


def uv_embedding(channels: int, size: tuple[int, int], aspect: float, like: Tensor) -> Float[Tensor, "1 c h w"]:
    """Sine and cosine features of where each cell lies in the image, times 0.1; x features, then y features.

    Coordinates run over a rectangle of diagonal 2 with the image's aspect W / H; frequencies 100^(-j / (c / 4)).
    Computed per axis in float64, so the full map costs nothing.
    """
    rows, columns = size
    diagonal = (aspect**2 + 1) ** 0.5
    frequencies = 100.0 ** (-torch.arange(channels // 4, dtype=torch.float64, device=like.device) / (channels / 4))

    def features(span: float, count: int) -> Tensor:
        edge = span * (count - 1) / count
        coordinates = torch.linspace(-edge, edge, count, dtype=torch.float64, device=like.device)
        angles = frequencies[:, None] * coordinates
        return torch.cat([angles.sin(), angles.cos()]).to(torch.float32)

    x = features(aspect / diagonal, columns)[:, None, :].expand(-1, rows, -1)
    y = features(1 / diagonal, rows)[:, :, None].expand(-1, -1, columns)
    return (UV_SCALE * torch.cat([x, y])[None]).to(like.dtype)


class ResidualUnit(nn.Module):
    """r = ReLU(x); conv2(ReLU(conv1(r))) + r. The skip adds the rectified input: the released weights need it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "N c h w"]) -> Float[Tensor, "N c h w"]:
        rectified = F.relu(x)
        return self.conv2(F.relu(self.conv1(rectified))) + rectified


class FusionStage(nn.Module):
    """Add a finer map (if there is one) to the coarser result, refine, resize, project."""

    def __init__(self, width: int, *, with_skip: bool) -> None:
        super().__init__()
        self.skip_unit = ResidualUnit(width) if with_skip else None
        self.output_unit = ResidualUnit(width)
        self.project = nn.Conv2d(width, width, 1)

    def forward(
        self, coarse: Float[Tensor, "N c h w"], fine: Float[Tensor, "N c h w"] | None, size: tuple[int, int]
    ) -> Float[Tensor, "N c h2 w2"]:
        if self.skip_unit is not None:
            coarse = coarse + self.skip_unit(fine)
        return self.project(_resize(self.output_unit(coarse), size))


class DenseHead(nn.Module):
    """Dense predictions from four token layers; frames are independent of each other."""

    def __init__(self, config: VGGTConfig, outputs: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.config = config
        self.activation = activation
        width, levels = config.dense_features, config.dense_channels
        self.norm = nn.LayerNorm(config.token_dim)
        self.projections = nn.ModuleList(nn.Conv2d(config.token_dim, c, 1) for c in levels)
        self.resizes = nn.ModuleList(
            [
                nn.ConvTranspose2d(levels[0], levels[0], 4, stride=4),
                nn.ConvTranspose2d(levels[1], levels[1], 2, stride=2),
                nn.Identity(),
                nn.Conv2d(levels[3], levels[3], 3, stride=2, padding=1),
            ]
        )
        self.adapters = nn.ModuleList(nn.Conv2d(c, width, 3, padding=1, bias=False) for c in levels)
        self.fusions = nn.ModuleList(FusionStage(width, with_skip=i < 3) for i in range(4))
        self.output_conv = nn.Conv2d(width, width // 2, 3, padding=1)
        self.hidden_conv = nn.Conv2d(width // 2, config.dense_hidden, 3, padding=1)
        self.final_conv = nn.Conv2d(config.dense_hidden, outputs + 1, 1)

    def forward(
        self, tokens: Sequence[Float[Tensor, "B F P D"]], image_size: tuple[int, int], frames_chunk: int | None = 8
    ) -> tuple[Float[Tensor, "B F H W *c"], Float[Tensor, "B F H W"]]:
        """Values [B, F, H, W] (depth) or [B, F, H, W, 3] (points), and confidences [B, F, H, W] in (1, inf).

        `tokens` are the four kept layers; `frames_chunk` frames run at a time (None: all), which changes memory only.
        Runs in float32 under autocast.
        """
        grid = self.config.token_grid(*image_size)
        special = self.config.special_tokens
        if tokens[0].shape[2] != special + grid[0] * grid[1]:
            raise ValueError(
                f"expected {special} + {grid[0]}x{grid[1]} tokens per frame for an image of "
                f"{image_size[0]}x{image_size[1]}, got {tokens[0].shape[2]}."
            )
        layers = [layer.flatten(0, 1)[:, special:] for layer in tokens]
        count = layers[0].shape[0]
        step = count if frames_chunk is None else frames_chunk
        with torch.autocast(layers[0].device.type, enabled=False):
            chunks = [
                self._predict([layer[i : i + step] for layer in layers], grid, image_size)
                for i in range(0, count, step)
            ]
        values, confidence = torch.cat([chunk[0] for chunk in chunks]), torch.cat([chunk[1] for chunk in chunks])
        batch, frames = tokens[0].shape[:2]
        return values.unflatten(0, (batch, frames)), confidence.unflatten(0, (batch, frames))

    def _predict(
        self, layers: list[Tensor], grid: tuple[int, int], image_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        reduce = self.config.head_downsample
        aspect = image_size[1] / image_size[0]
        maps = [self._level(i, layer, grid, aspect) for i, layer in enumerate(layers)]
        level_sizes = [(level.shape[-2], level.shape[-1]) for level in maps]
        finest = (max(2 * level_sizes[0][0] // reduce, 1), max(2 * level_sizes[0][1] // reduce, 1))
        sizes = [finest, *level_sizes[:3]]
        x = maps[3]
        for i in (3, 2, 1, 0):
            x = self.fusions[i](x, maps[i] if i < 3 else None, sizes[i])
        x = _resize(self.output_conv(x), (max(image_size[0] // reduce, 1), max(image_size[1] // reduce, 1)))
        x = x + uv_embedding(x.shape[1], (x.shape[-2], x.shape[-1]), aspect, x)
        x = self.final_conv(F.relu(self.hidden_conv(x)))
        raw = _resize(x, image_size).permute(0, 2, 3, 1)
        return self.activation(raw[..., :-1]), 1 + raw[..., -1].exp()

    def _level(self, i: int, layer: Tensor, grid: tuple[int, int], aspect: float) -> Tensor:
        x = self.norm(layer.to(self.norm.weight.dtype)).transpose(1, 2).unflatten(2, grid)
        x = self.projections[i](x)
        x = x + uv_embedding(x.shape[1], grid, aspect, x)
        return self.adapters[i](self.resizes[i](x))


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if (x.shape[-2], x.shape[-1]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)
