"""The transformer for few steps of a model folder: weights of its own, or low-rank updates of the model's other one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from gen3r.hub.files import ModelFolderError, read_json_object
from gen3r.hub.folder import CONFIG_FILE, WEIGHTS_STEM
from gen3r.hub.networks import KINDS, TRANSFORMER, Part
from gen3r.hub.stored import StoredTensor, join, open_safetensors, open_weights
from gen3r.hub.stream import SAME_NAMES

STUDENT = "transformer_few_steps"
"""Folder of the transformer, in exports of training and in model folders."""
STUDENT_FILE = "few_steps.json"
"""Beside it in exports of training: what becomes ``few_steps`` of ``pipeline.json``."""
UPDATES_FILE = "pytorch_lora_weights.safetensors"
"""Low-rank updates as diffusers and peft write them."""
_SETTINGS_KEY = "lora_adapter_metadata"
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


def student_of(settings: Mapping[str, Any], folder: Path, teacher: Part) -> Part | None:
    """The transformer for few steps that the settings of a model folder name; None if they name none.

    Raises:
        ModelFolderError: as ``open_student``, or for a name that leads out of the folder.
    """
    few = settings.get("few_steps")
    name = few.get("folder") if isinstance(few, dict) else None
    if not isinstance(name, str):
        return None
    if Path(name).name != name:
        raise ModelFolderError(f"{folder}: expected few_steps to name a folder beside pipeline.json, got {name!r}.")
    return open_student(folder / name, teacher)


def open_student(folder: Path, teacher: Part) -> Part:
    """The transformer for few steps in a folder, from configs and headers alone.

    Args:
        folder: with ``config.json`` and weights, or with ``UPDATES_FILE`` alone.
        teacher: the model's other transformer, which updates are added to when they are read: W + alpha / r B A.

    Raises:
        ModelFolderError: if there is neither or both, for updates of layers that the other transformer does not have,
            or a transformer that reads other conditions.
    """
    updates, config = folder / UPDATES_FILE, folder / CONFIG_FILE
    if updates.is_file() == config.is_file():
        found = "both" if config.is_file() else "neither"
        raise ModelFolderError(
            f"expected {CONFIG_FILE} with weights, or {UPDATES_FILE}, in {folder}, found {found}; is the model folder "
            "complete?"
        )
    if updates.is_file():
        return replace(teacher, weights=_updated(teacher, updates))
    settings = KINDS[TRANSFORMER].read(read_json_object(config), str(config))
    if (settings.text_dim, settings.image_dim) != (teacher.config.text_dim, teacher.config.image_dim):
        raise ModelFolderError(
            f"{config}: expected a transformer with text_dim {teacher.config.text_dim} and image_dim "
            f"{teacher.config.image_dim} as the model's other one, got {settings.text_dim} and {settings.image_dim}."
        )
    return Part(kind=TRANSFORMER, config=settings, weights=open_weights(folder, WEIGHTS_STEM), table=SAME_NAMES)


def _updated(teacher: Part, path: Path) -> Mapping[str, StoredTensor]:
    """The teacher's weights with the updates of a file in them."""
    tensors, scale = open_safetensors(path), _scale(path)
    layers = {name.removesuffix(ending) for name in tensors for ending in (_DOWN, _UP) if name.endswith(ending)}
    weights = dict(teacher.our_weights())
    if not layers or {f"{layer}{ending}" for layer in layers for ending in (_DOWN, _UP)} != set(tensors):
        raise ModelFolderError(f"{path}: expected pairs of {_DOWN} and {_UP}, got {', '.join(sorted(tensors)[:4])} ...")
    for layer in sorted(layers):
        name, down, up = f"{layer}.weight", tensors[layer + _DOWN], tensors[layer + _UP]
        whole = weights.get(name)
        if whole is None or whole.shape != (up.shape[0], down.shape[1]) or up.shape[1] != down.shape[0]:
            raise ModelFolderError(
                f"{path}: the updates of {layer} fit no layer of the transformer; they are of another model."
            )
        weights[name] = join([whole, down, up], lambda parts: _added(parts, scale))
    return weights


def _added(parts: list[Tensor], scale: float) -> Tensor:
    whole, down, up = (part.float() for part in parts)
    return whole + scale * (up @ down)


def _scale(path: Path) -> float:
    """alpha / r by the header; ModelFolderError for updates that count in other ways."""
    with safe_open(str(path), "pt") as file:
        header = file.metadata() or {}
    settings: dict[str, Any] = json.loads(header.get(_SETTINGS_KEY, "{}"))
    special = [name for name in ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern") if settings.get(name)]
    if special or not {"r", "lora_alpha"} <= set(settings):
        raise ModelFolderError(
            f"{path}: expected low-rank updates with r and lora_alpha in the header and nothing special, got "
            f"{', '.join(special) or 'none'}."
        )
    return settings["lora_alpha"] / settings["r"]
