"""Where networks live, and how they come to the device to work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from typing import Literal

import torch
from diffusers.hooks import apply_group_offloading
from torch import Tensor, nn

Residence = Literal["device", "visits", "streams", "cpu"]
"""``device``: always there. ``visits``: at home on the CPU, on the device while it works. ``streams``: its blocks come
to the device one after the other, the next one while the present one works. ``cpu``: it works at home."""

_CPU = torch.device("cpu")


class Residency:
    """Brings networks to the device for as long as they work.

    Args:
        device: where networks work.
        residences: by network; a network without one is left where it is.
        pinned: streaming networks whose weights are locked in host memory, which is worth its price for those that work
            many times in a run.
    """

    def __init__(
        self, device: torch.device, residences: Mapping[str, Residence], pinned: frozenset[str] = frozenset()
    ) -> None:
        self.device = device
        self.residences = residences
        self.pinned = pinned
        self._visiting: set[int] = set()

    def settle(self, name: str, network: nn.Module) -> None:
        """Put a new network where it lives. Its type and storage must be final."""
        if self.residences.get(name) == "device":
            network.to(self.device)
        elif self.residences.get(name) == "streams":
            stream_blocks(network, self.device, pinned=name in self.pinned)

    def use(self, name: str, *modules: nn.Module) -> AbstractContextManager[None]:
        """Have ``modules``, a settled network or parts of it, ready to work inside a ``with`` block; nests."""
        return self._visit(modules) if self.residences.get(name) == "visits" else nullcontext()

    @contextmanager
    def _visit(self, modules: Sequence[nn.Module]) -> Iterator[None]:
        """Weights do not change while they visit, so going home means dropping the copy."""
        at_home: list[tuple[Tensor, Tensor]] = []
        try:
            for tensor in chain.from_iterable(chain(module.parameters(), module.buffers()) for module in modules):
                if id(tensor) not in self._visiting:
                    at_home.append((tensor, tensor.data))
                    self._visiting.add(id(tensor))
                    tensor.data = tensor.data.to(self.device, copy=True)
            yield
        finally:
            for tensor, data in at_home:
                tensor.data = data
                self._visiting.discard(id(tensor))


def stream_blocks(network: nn.Module, device: torch.device, *, pinned: bool) -> None:
    """diffusers' group offload by block, in a stream of its own where the device has streams.

    Raises:
        ValueError: if ``network`` holds no list of blocks.
    """
    stack = next((module for module in network.modules() if _has_blocks(module)), None)
    if stack is None:
        raise ValueError(f"expected a network with a list of blocks to stream, got {type(network).__name__}.")
    streams = device.type == "cuda"
    apply_group_offloading(
        stack,
        onload_device=device,
        offload_device=_CPU,
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=streams,
        record_stream=streams,
        low_cpu_mem_usage=not pinned,
    )


def _has_blocks(module: nn.Module) -> bool:
    return any(isinstance(child, nn.ModuleList) for child in module.children())
