"""What the tokens of a VGGT have in common, so that an adapter need not learn it.

Some channels of VGGT's tokens lie tens of standard deviations from zero, and part of every token only says where it is.
Training moves a bias by its learning rate per step, and a convolution cannot know where it is: small adapters would
spend their training on that. Measured once, both are taken off before the encoder and put back after the decoder.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

# B batch, C token channels, F frames, gh gw token grid

_LEAST = 1e-3
"""Channels vary by at least this."""


class TokenStatistics(nn.Module):
    """Mean tokens at every place of a grid, for the first frame and for all others, and the spread of every channel.

    Until `measure` they are zeros and ones. Means of other grids are interpolated. They are parameters that are not
    trained, so that checkpoints keep them with the weights.
    """

    def __init__(self, channels: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(2, channels, *grid), requires_grad=False)
        self.std = nn.Parameter(torch.ones(channels), requires_grad=False)

    @torch.no_grad()
    def measure(self, whole: Float[Tensor, "B C F gh gw"]) -> None:
        """Take them from the tokens of some clips."""
        first, others = whole[:, :, :1], whole[:, :, 1:]
        means = torch.stack([first.mean((0, 2)), (others if others.shape[2] else first).mean((0, 2))])
        self.mean.copy_(_resized(means, (self.mean.shape[-2], self.mean.shape[-1])))
        self.std.copy_((whole - self._means(whole, 0)).std((0, 2, 3, 4)).clamp_min(_LEAST))

    def take_off(self, tokens: Float[Tensor, "B C F gh gw"], start: int) -> Float[Tensor, "B C F gh gw"]:
        """Standardised tokens; `start` is the number of their first frame in the clip."""
        return (tokens - self._means(tokens, start)) / self._spread(tokens)

    def put_back(self, tokens: Float[Tensor, "B C F gh gw"], start: int) -> Float[Tensor, "B C F gh gw"]:
        """The inverse of `take_off`."""
        return tokens * self._spread(tokens) + self._means(tokens, start)

    def _means(self, like: Tensor, start: int) -> Tensor:
        mean = _resized(self.mean, (like.shape[-2], like.shape[-1]))
        kinds = torch.tensor([min(start + k, 1) for k in range(like.shape[2])], device=mean.device)
        return mean[kinds].transpose(0, 1).to(like)

    def _spread(self, like: Tensor) -> Tensor:
        return self.std.to(like).view(-1, 1, 1, 1)


def _resized(mean: Float[Tensor, "two C rows columns"], grid: tuple[int, int]) -> Float[Tensor, "two C gh gw"]:
    if mean.shape[-2:] == grid:
        return mean
    return F.interpolate(mean, size=grid, mode="bilinear", align_corners=False)
