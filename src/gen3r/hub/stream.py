"""Weights from disk into a network, tensor by tensor, straight to their device and type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.clip.modeling_clip import CLIPVisionEmbeddings

from gen3r.hub.convert import KeyTable
from gen3r.hub.stored import StoredTensor

Network = TypeVar("Network", bound=nn.Module)
SAME_NAMES = KeyTable(pairs=())
_HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a network goes when it is loaded."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Device of all its tensors."""
    dtype: torch.dtype | None = None
    """Type of its floating tensors; None is float32, whatever the files hold. Layers that their authors keep in
    float32 (time embedding and modulation of the transformer) stay so under half precision."""


def build_on_meta(build: Callable[[], Network]) -> Network:
    """A network without memory, for ``stream_weights`` to fill."""
    with torch.device("meta"):
        return build()


def stream_weights(
    network: Network,
    weights: Mapping[str, StoredTensor],
    table: KeyTable = SAME_NAMES,
    placement: Placement | None = None,
) -> Network:
    """Fill a network that was built on ``meta``, every tensor and nothing else.

    Host memory above the network itself: one tensor (twice, if its type changes).

    Args:
        network: from ``build_on_meta``.
        weights: what the files hold, under the names of ``table``'s official side.
        table: names of the files to names of the network.
        placement: device and type; None is float32 on the CPU.

    Raises:
        ModelFolderError: naming missing, unexpected and misshapen tensors, with their files, before any is read.
    """
    placement = placement or Placement()
    ours = table.convert(weights, network)
    kept = _kept_float32(network, placement.dtype)
    sites: dict[Tensor, list[str]] = {}  # tensors hash by identity; tied ones are read once
    for name, tensor in network.state_dict(keep_vars=True).items():
        sites.setdefault(tensor, []).append(name)
    for old, names in sorted(sites.items(), key=lambda item: (str(ours[item[1][0]].file), ours[item[1][0]].offset)):
        dtype = old.dtype
        if old.is_floating_point() and placement.dtype is not None and not kept & set(names[0].split(".")):
            dtype = placement.dtype
        tensor = _own(ours[names[0]].read(), placement.device, dtype)
        new = nn.Parameter(tensor, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else tensor
        for name in names:
            _assign(network, name, new)
    _remake_buffers(network, placement.device)
    return network


def _own(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The tensor in memory of its own: as part of a larger one it would keep all of that alive."""
    moved = tensor.to(device=device, dtype=dtype).contiguous()
    return moved if moved.untyped_storage().nbytes() == moved.nbytes else moved.clone()


def _assign(network: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    module = network.get_submodule(path)
    held: dict[str, Any] = module._parameters if isinstance(tensor, nn.Parameter) else module._buffers
    held[leaf] = tensor


def _kept_float32(network: nn.Module, dtype: torch.dtype | None) -> set[str]:
    """Parts of names that stay in float32, by the rules of the libraries that the networks come from."""
    kept: set[str] = set()
    if dtype not in _HALF:
        return kept
    for module in network.modules():
        if isinstance(module, ModelMixin):
            kept |= set(module._keep_in_fp32_modules or ())
        if isinstance(module, PreTrainedModel):
            kept |= set(module._keep_in_fp32_modules_strict or ())
            if dtype == torch.float16:  # bfloat16 has the range of float32
                kept |= set(module._keep_in_fp32_modules or ())
    return kept


_REMADE: dict[tuple[type[nn.Module], str], Callable[[nn.Module], Tensor]] = {
    (CLIPVisionEmbeddings, "position_ids"): lambda module: torch.arange(module.num_positions).expand(1, -1),  # pyright: ignore
}
"""Buffers that no file holds, and how their modules compute them."""


def _remake_buffers(network: nn.Module, device: torch.device) -> None:
    for module in network.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_meta:
                module._buffers[name] = _REMADE[type(module), name](module).to(device)
    assert not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))
