"""Weights that training starts from instead of random ones: which tensors are taken, and which are new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gen3r.hub.networks import ADAPTER, TRANSFORMER, Part
from gen3r.hub.official import OFFICIAL_PARTS
from gen3r.hub.stored import StoredTensor, open_safetensors
from gen3r.hub.stream import SAME_NAMES, Placement
from gen3r.train.earlier import folder_of, open_parts

STATISTICS = ("latents_mean", "latents_std")
"""Fields of configs that belong to weights rather than to the architecture."""
WIDENED = "patch_embedding.weight"
"""The kernel that may read fewer channels in the file: noisy and control latents, before the mask was added."""
NEW_PARTS: Mapping[str, tuple[str, ...]] = {
    TRANSFORMER: (
        "camera_adapter",
        "condition_embedder.image_embedder",
        "add_k_proj",
        "add_v_proj",
        "norm_added_k",
    )
}
"""Modules that a base model may lack as a whole: what Gen3R's transformer has over a Wan text-to-video model."""
FREE_FIELDS: Mapping[str, tuple[str, ...]] = {TRANSFORMER: ("in_channels", "image_dim")}
"""Fields of configs that may differ where those modules are missing."""


@dataclass(frozen=True)
class Started:
    """What became of a network's weights."""

    taken: int
    """Tensors that were read."""
    new: tuple[str, ...]
    """Modules that keep their random start."""
    widened: int
    """Input channels of the patch kernel that start at zero."""

    def describe(self, place: str | Path) -> str:
        """One line for people."""
        text = f"starts from {self.taken} tensors of {place}"
        if self.widened:
            text += f"; the last {self.widened} input channels of the patch kernel start at zero"
        return text + (f"; new, with a random start: {', '.join(self.new)}" if self.new else "")


def open_initial(place: str | Path, kind: str, config: Any) -> Part:
    """The network of ``kind`` at a place: anything ``earlier.find_parts`` reads, or a safetensors file of it.

    A file may have our names or the official ones; it holds no config, so it is taken to be of ``config``.

    Raises:
        ValueError: if there is no such network.
    """
    path = Path(place)
    if path.is_file():
        return _file_part(path, kind, config)
    folder = folder_of(place)
    parts = open_parts(folder)
    if kind not in parts:
        there = f"found only {', '.join(parts)}" if parts else "found no network"
        raise ValueError(
            f"expected a {kind} to start from in {folder}, {there}; name a model folder, a run, or the downloaded base "
            "model."
        )
    return parts[kind]


def initial_config(part: Part, config: Any) -> Any:
    """``config`` with the statistics that belong to the weights of ``part``.

    Raises:
        ValueError: naming the sizes in which they differ.
    """
    own, given = asdict(config), asdict(part.config)
    free = (*STATISTICS, *FREE_FIELDS.get(part.kind, ()))
    other = [f"{name} {given[name]!r}, expected {own[name]!r}" for name in own if given[name] != own[name]]
    other = [text for text in other if text.split(" ")[0] not in free]
    if other:
        raise ValueError(f"the {part.kind} to start from is another network: {'; '.join(other)}.")
    return replace(config, **{name: getattr(part.config, name) for name in STATISTICS if name in own})


@torch.no_grad()
def start_from(network: nn.Module, part: Part) -> Started:
    """Copy the weights of ``part`` into ``network``, which keeps its own in modules that may be new (``NEW_PARTS``).

    Raises:
        ValueError: naming all tensors that are missing, left over, or of another shape; nothing was copied then.
    """
    ours = {name: tensor for key, tensor in part.weights.items() if (name := part.table.to_ours(key)) is not None}
    state = network.state_dict(keep_vars=True)
    held = {id(state[name]) for name in ours if name in state}  # tied tensors are stored once
    missing = [name for name, tensor in state.items() if id(tensor) not in held]
    new = {module for name in missing if (module := _new_module(part.kind, name)) is not None}
    partly = {module for name in ours if (module := _new_module(part.kind, name)) in new and module is not None}
    problems = [f"missing {name}" for name in missing if _new_module(part.kind, name) not in new - partly]
    problems += [f"unexpected {name}" for name in ours if name not in state]
    problems += [
        f"{name} has shape {tensor.shape}, expected {tuple(state[name].shape)}"
        for name, tensor in ours.items()
        if name in state and tensor.shape != tuple(state[name].shape) and not _widens(name, tensor, state[name])
    ]
    if problems:
        raise ValueError(
            f"the weights to start from do not fit the {part.kind} ({len(problems)} problems): "
            f"{'; '.join(problems[:8])}{' ...' if len(problems) > 8 else ''}."
        )
    widened = 0
    for name, tensor in ours.items():
        value, target = tensor.read(), state[name]
        if value.shape != target.shape:
            widened = target.shape[1] - value.shape[1]
            target[:, value.shape[1] :] = 0
            target = target[:, : value.shape[1]]
        target.copy_(value)
    return Started(taken=len(ours), new=tuple(sorted(new)), widened=widened)


def load_frozen(part: Part, config: Any, dtype: torch.dtype | None) -> Any:
    """The network of ``part`` whole and without gradients, straight in ``dtype``; nothing may be new in it.

    Raises:
        ValueError: if it is not of ``config``, or misses anything.
    """
    initial_config(part, config)
    return part.load(Placement(dtype=dtype)).requires_grad_(False)


def _new_module(kind: str, name: str) -> str | None:
    return next((module for module in NEW_PARTS.get(kind, ()) if f".{module}." in f".{name}"), None)


def _widens(name: str, stored: StoredTensor, own: torch.Tensor) -> bool:
    same = stored.shape[:1] + stored.shape[2:] == tuple(own.shape[:1] + own.shape[2:])
    return name == WIDENED and same and stored.shape[1] < own.shape[1]


def _file_part(path: Path, kind: str, config: Any) -> Part:
    if kind not in (TRANSFORMER, ADAPTER):
        raise ValueError(f"expected a folder to start the {kind} from, got the file {path}.")
    weights, official = open_safetensors(path), OFFICIAL_PARTS[kind].keys(config)
    renamed = any(official.to_ours(name) != name for name in weights)
    return Part(kind=kind, config=config, weights=weights, table=official if renamed else SAME_NAMES)
