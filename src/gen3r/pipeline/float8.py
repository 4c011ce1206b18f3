"""Weights of linear layers in eight bits: half the memory of bfloat16, the same arithmetic afterwards.

diffusers' layerwise casting stores plain float8, whose steps are absolute below 1/64: most of the digits of small
weights are lost, and T5 has rows of them. Here each output row has a scale of its own. T5's feed-forward, too, asks its
last layer for the type of its weight before calling it, so a layer must answer with the type it computes in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

STORAGE = torch.float8_e4m3fn
"""Three bits of mantissa: a weight is off by 2.6 % of itself, root mean square."""


class Float8Linear(nn.Linear):
    """A linear layer that keeps ``weight = stored * scale`` and widens it for each call.

    Scales are powers of two, so widening rounds nothing. For inference: the weight is no parameter any more.
    """

    stored: Tensor
    scale: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)  # not nn.Linear's, which would make a weight
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.compute_dtype = linear.weight.dtype
        stored, scale = to_float8(linear.weight.detach())
        self.register_buffer("stored", stored)
        self.register_buffer("scale", scale.to(self.compute_dtype))
        self.bias = linear.bias

    @property
    def weight(self) -> Float[Tensor, "out in"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The widened weight, a new tensor each time."""
        return self.stored.to(self.compute_dtype) * self.scale

    def forward(self, input: Float[Tensor, "*b in"]) -> Float[Tensor, "*b out"]:
        return F.linear(input, self.weight, self.bias)


def to_float8(weight: Float[Tensor, "out in"]) -> tuple[Tensor, Float[Tensor, "out 1"]]:
    """``(stored, scale)`` with ``stored * scale`` close to ``weight``; scales are powers of two, one for each row."""
    wide = weight.float()
    largest = wide.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    scale = torch.exp2(torch.ceil(torch.log2(largest / torch.finfo(STORAGE).max)))
    return (wide / scale).to(STORAGE), scale


def store_in_float8(module: nn.Module, keep: Iterable[str] = ()) -> None:
    """Replace the linear layers of ``module``, in place, one at a time.

    Args:
        module: a network that is not trained any more.
        keep: patterns (``re.search``) of dotted names whose layers stay as they are. Subclasses of ``nn.Linear``,
            which have precision needs of their own, stay too.
    """
    patterns = [re.compile(pattern) for pattern in keep]
    for name, layer in list(module.named_modules()):
        if type(layer) is not nn.Linear or any(pattern.search(name) for pattern in patterns):
            continue
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, Float8Linear(layer))
