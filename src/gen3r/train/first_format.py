"""Checkpoints as the first version wrote them: one process, weights, average and optimizer in a file each."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from gen3r.train.state import AVERAGE, OPTIMIZER, WEIGHTS, RunState

_WEIGHTS = "weights.safetensors"


def is_first_format(folder: Path) -> bool:
    """Whether a checkpoint is of this format."""
    return (folder / _WEIGHTS).is_file()


def load_first_format(folder: Path, state: RunState) -> None:
    """Fill a run with such a checkpoint; no code is unpickled.

    Raises:
        ValueError: if it has other tensors than the run.
    """
    stored = {WEIGHTS + name: value for name, value in load_file(folder / _WEIGHTS).items()}
    if state.ema.decay:
        stored |= {AVERAGE + name: value for name, value in load_file(folder / "average.safetensors").items()}
    moments = torch.load(folder / "optimizer.pt", map_location="cpu", weights_only=True)["state"]
    order = _order(state)
    for index, values in moments.items():
        stored |= {f"{OPTIMIZER}{order[index]}.{key}": value for key, value in values.items()}
    frozen = {name for name, value in state.objective.networks.named_parameters() if not value.requires_grad}
    for name in frozen:  # they were stored, too
        stored.pop(f"{WEIGHTS}networks.{name}", None)
        stored.pop(f"{AVERAGE}{name}", None)
    for name, value in state.prepare(stored).items():
        _fill(value, stored[name])


def _order(state: RunState) -> list[str]:
    """Names of the trained parameters as the optimizer counted them then: by factor, and whether they have two axes."""
    factors, groups = state.factors(), dict[tuple[float, bool], list[str]]()
    for name, value in state.objective.networks.named_parameters():
        if value.requires_grad:
            groups.setdefault((factors[name], value.ndim >= 2), []).append(name)
    return [name for members in groups.values() for name in members]


@torch.no_grad()
def _fill(into: Tensor, value: Tensor) -> None:
    if isinstance(into, DTensor):
        value = distribute_tensor(value.to(into.device), into.device_mesh, into.placements)
    into.copy_(value.view(into.shape) if value.numel() == 1 else value)
