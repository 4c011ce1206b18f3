"""A linear code for tokens: a principal component analysis per place, as the path past an adapter's convolutions.

The first frame is coded by itself, every later group of frames together, as the latent has them. Of each token the
leading components are kept, as many as the latent has channels, and interpolated to the cells of the latent; the way
back is the pseudo-inverse of that, so that nothing else is lost. What the convolutions add starts at nothing: the
adapter is a component analysis before it is trained, and has the rest of the latent's room to become better.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

# B batch, C token channels, F frames, f latent frames, gh gw token grid, h w latent cells, z latent channels

_ITERATIONS = 3
"""Of the randomised decomposition (Halko et al. 2011)."""


class LinearTokenCode(nn.Module):
    """Linear encoder and decoder between standardised tokens and ``latent`` channels, each of unit variance.

    Args:
        channels: of the tokens.
        latent: of the latent.
        group: frames per latent frame after the first.
    """

    def __init__(self, channels: int, latent: int, group: int) -> None:
        super().__init__()
        self.group = group
        self.encode_first = nn.Linear(channels, latent, bias=False)
        self.encode_group = nn.Linear(group * channels, latent, bias=False)
        self.decode_first = nn.Linear(latent, channels, bias=False)
        self.decode_group = nn.Linear(latent, group * channels, bias=False)

    def encode(self, tokens: Float[Tensor, "B C F gh gw"], size: tuple[int, int], start: int) -> Tensor:
        """Latents [B, z, f, h, w] of frames from number `start` on: 0, or the first of a group."""
        parts = []
        if start == 0:
            first = self.encode_first(tokens[:, :, 0].movedim(1, -1)).movedim(-1, 1)
            parts, tokens = [first[:, :, None]], tokens[:, :, 1:]
        if tokens.shape[2]:
            parts.append(self.encode_group(self._grouped(tokens)).movedim(-1, 1))
        return _resampled(torch.cat(parts, dim=2), size)

    def decode(
        self, latents: Float[Tensor, "B z f h w"], grid: tuple[int, int], start: int
    ) -> Float[Tensor, "B C F gh gw"]:
        """Standardised tokens; `start` is the number of the first latent."""
        places, parts = _resampled(latents, grid), []
        if start == 0:
            first = self.decode_first(places[:, :, 0].movedim(1, -1)).movedim(-1, 1)
            parts, places = [first[:, :, None]], places[:, :, 1:]
        if places.shape[2]:
            groups = self.decode_group(places.movedim(1, -1)).unflatten(-1, (self.group, -1))
            parts.append(groups.permute(0, 5, 1, 4, 2, 3).flatten(2, 3))
        return torch.cat(parts, dim=2)

    @torch.no_grad()
    def fit(self, tokens: Float[Tensor, "B C F gh gw"]) -> None:
        """Set all weights by the component analysis of some standardised clips, of one group of frames or more."""
        first = tokens[:, :, 0].movedim(1, -1).flatten(0, -2)
        group = self._grouped(tokens[:, :, 1:]).flatten(0, -2)
        for rows, encoder, decoder in (
            (first, self.encode_first, self.decode_first),
            (group, self.encode_group, self.decode_group),
        ):
            count = encoder.out_features
            _, values, basis = torch.svd_lowrank(rows, q=min(2 * count, *rows.shape), niter=_ITERATIONS)
            spread = values[:count] / len(rows) ** 0.5
            encoder.weight.copy_((basis[:, :count] / spread).T)
            decoder.weight.copy_(basis[:, :count] * spread)

    def _grouped(self, tokens: Float[Tensor, "B C F gh gw"]) -> Float[Tensor, "B f gh gw GC"]:
        return tokens.unflatten(2, (-1, self.group)).permute(0, 2, 4, 5, 3, 1).flatten(-2)


def _resampled(x: Float[Tensor, "B z f rows columns"], size: tuple[int, int]) -> Float[Tensor, "B z f h w"]:
    """To more cells by linear interpolation, to fewer by its pseudo-inverse, along each axis."""
    for axis, (old, new) in zip((-2, -1), zip(x.shape[-2:], size, strict=True), strict=True):
        if old != new:
            matrix = _interpolation(old, new).to(x) if new > old else torch.linalg.pinv(_interpolation(new, old)).to(x)
            x = (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
    return x


@lru_cache(maxsize=16)
def _interpolation(few: int, many: int) -> Float[Tensor, "many few"]:
    unit = torch.eye(few, dtype=torch.float64)
    return F.interpolate(unit[None], size=many, mode="linear", align_corners=False)[0].T
