"""Layers that keep the digits that matter under bfloat16 weights and autocast."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Float64Timesteps(nn.Module):
    """Sinusoid of the timestep, cosines first, with float64 angles ``t * 10000^(-i / half)`` and a float32 result."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, timestep: Float[Tensor, " B"]) -> Float[Tensor, "B C"]:
        half = self.channels // 2
        powers = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.outer(timestep.to(device="cpu", dtype=torch.float64), powers)
        return torch.cat([angles.cos(), angles.sin()], dim=-1).to(device=timestep.device, dtype=torch.float32)


class Float32Linear(nn.Linear):
    """A linear layer that computes in float32 whatever the dtype of its weights, autocast included.

    The time embedding steers every block; bfloat16 would blur neighbouring timesteps into one.
    """

    @classmethod
    def from_linear(cls, linear: nn.Linear) -> Float32Linear:
        """Take over the parameters of ``linear`` (same objects, same names)."""
        layer = cls(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        layer.weight, layer.bias = linear.weight, linear.bias
        return layer

    def forward(self, input: Float[Tensor, "*b n"]) -> Float[Tensor, "*b m"]:
        with torch.autocast(device_type=input.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return F.linear(input.float(), self.weight.float(), bias)


class MixedRMSNorm(nn.RMSNorm):
    """RMS norm that accepts inputs of another dtype than its weights, as autocast makes them.

    torch's own would warn and leave its fused kernel; this one computes in the dtype of the weights.
    """

    @classmethod
    def from_norm(cls, norm: nn.RMSNorm) -> MixedRMSNorm:
        """Take over the parameters of ``norm`` (same objects, same names)."""
        layer = cls(list(norm.normalized_shape), eps=norm.eps, device="meta")
        layer.weight = norm.weight
        return layer

    def forward(self, x: Float[Tensor, "*b n"]) -> Float[Tensor, "*b n"]:
        return super().forward(x.to(self.weight.dtype)).to(x.dtype)
