"""Running code on tensors that have shapes and no values: what it holds at once, and how much it computes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

ASIDE = torch.device("meta")
"""Where results go that leave the device."""


def shapes_alone() -> AbstractContextManager[Any]:
    """Every tensor made inside has a shape and no values."""
    return FakeTensorMode()


def materialize(module: nn.Module, dtype_of: Callable[[nn.Parameter], torch.dtype]) -> None:
    """Give a module made on ``meta`` tensors on the CPU; tied parameters stay tied. For use within ``shapes_alone``."""
    made: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                if id(value) not in made:
                    empty = torch.empty(value.shape, dtype=dtype_of(value))
                    made[id(value)] = nn.Parameter(empty, requires_grad=value.requires_grad)
                part._parameters[name] = made[id(value)]
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors made inside a ``with`` block, as long as they live; those on ``meta`` are none."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {_key(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device != ASIDE and _key(tensor) not in given | self._known:
                self._add(tensor)
        return result

    def _add(self, tensor: Tensor) -> None:
        storage, key = tensor.untyped_storage(), _key(tensor)
        self._known.add(key)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key, storage.nbytes())

    def _drop(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that ``work`` holds at once beyond what was there before."""
    with LiveBytes() as live:
        work()
    return live.peak


def count_flops(work: Callable[[], object]) -> int:
    """Operations of a call, backward passes included; two per multiply-add.

    Attention runs as matrix products, because the counter does not know the CPU's fused kernel.
    """
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return counter.get_total_flops()
