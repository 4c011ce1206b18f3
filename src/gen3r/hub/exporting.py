"""A model of ours as files of the official layout, for the official code to run."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import torch
from transformers import PretrainedConfig

from gen3r.hub.files import INDEX_SUFFIX, ModelFolderError, json_text, read_json_object
from gen3r.hub.folder import CONFIG_FILE, config_from_dict
from gen3r.hub.layout import OFFICIAL_INDEX
from gen3r.hub.networks import IMAGE_ENCODER, Part, feature_layer
from gen3r.hub.official import (
    OFFICIAL_CLASSES,
    OFFICIAL_PARTS,
    SCHEDULER_FILE,
    SETTINGS_FILE,
    UNUSED_STEM,
    OfficialPart,
    Weights,
    carried_folder,
    official_settings,
)
from gen3r.hub.shards import CopiedFile, PlannedFile, TextFile, weights_files
from gen3r.hub.stored import StoredTensor, open_weights

LOGGER = logging.getLogger(__name__)
_VERSION = "0.33.1"
"""The diffusers that the official code pins."""

_INERT = {"layer_scale", "dino_layer_scale", "logvar_start", "linear_margin", "linear_reach"}
"""Fields that only say how a network starts its training, or shape what is switched off."""

_COMPARED = (
    "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads", "relative_attention_num_buckets",
    "relative_attention_max_distance", "feed_forward_proj", "layer_norm_epsilon",
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size",
    "hidden_act", "layer_norm_eps", "num_channels", "feature_layer",
)  # fmt: skip
"""Fields of transformers' configs that change what an encoder computes."""

_SCHEDULER: dict[str, Any] = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "_diffusers_version": _VERSION,
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "use_dynamic_shifting": False,
}


def official_files(
    folder: Path, model: Any, settings: Any, shard_bytes: int, dtype: torch.dtype | None
) -> dict[str, PlannedFile]:
    """The files, by their paths in the folder.

    Args:
        folder: of the model, where ``official/`` holds what the networks of ours do not have.
        model: the same, opened (``hub.networks.OpenModel``).
        settings: of its pipeline.
        shard_bytes: largest weights file.
        dtype: of floating tensors; None keeps theirs.

    Raises:
        ModelFolderError: naming what the official code cannot hold.
    """
    carried = carried_folder(folder)
    files: dict[str, PlannedFile] = {
        OFFICIAL_INDEX: _json_file(
            carried / OFFICIAL_INDEX,
            {"_class_name": "Gen3RPipeline", "_diffusers_version": _VERSION, **OFFICIAL_CLASSES},
        ),
        SCHEDULER_FILE.as_posix(): _json_file(carried / SCHEDULER_FILE, _SCHEDULER, shift=settings.shift),
    }
    as_official = dict(official_settings(settings.shift, settings.text_length))
    own = {**dataclasses.asdict(settings), "few_steps": None}  # the layout has no place for a second transformer
    if own != dataclasses.asdict(_settings_of(type(settings), as_official)):
        files[SETTINGS_FILE] = TextFile(text=json_text(own))
    for kind, official in OFFICIAL_PARTS.items():
        if kind not in model.parts:
            raise ModelFolderError(f"{folder}: the official layout has a {kind}, which this model does without.")
        config, weights = _official_part(model.parts[kind], official, carried / official.folder)
        files[f"{official.folder}/{CONFIG_FILE}"] = config
        limit = shard_bytes if official.shards else None
        for name, file in weights_files(official.stem, weights, limit, dtype).items():
            files[f"{official.folder}/{name}"] = file
    if settings.conditioning.normalize_scale:
        LOGGER.warning(
            "%s was trained with cameras divided by the scene scale, which the official code does not do: scale the "
            "cameras that it is given.",
            folder,
        )
    return files


def _settings_of(settings_class: type, values: dict[str, Any]) -> Any:
    return config_from_dict(settings_class, values, "official settings")


def _official_part(part: Part, official: OfficialPart, carried: Path) -> tuple[PlannedFile, dict[str, StoredTensor]]:
    _check_fixed(part, official)
    if part.kind == IMAGE_ENCODER and not _has_unused(carried):
        raise ModelFolderError(
            f"expected the parts of the image encoder that ours leaves out in {carried}, found none; copy the folder "
            "official/ of a converted model beside pipeline.json."
        )
    table = official.keys(part.config)
    weights = {table.to_official(name): tensor for name, tensor in part.our_weights().items()}
    weights = {**official.fuse(weights), **(open_weights(carried, UNUSED_STEM) if _has_unused(carried) else {})}
    values = official.write(part.config)
    _check_read_back(part, official, values, weights)
    return _config_file(part, official, values, weights, carried), weights


def _has_unused(carried: Path) -> bool:
    return any((carried / f"{UNUSED_STEM}{end}").is_file() for end in (".safetensors", INDEX_SUFFIX))


def _check_fixed(part: Part, official: OfficialPart) -> None:
    if not official.fixed:
        return
    released = type(part.config)()
    for name in official.fixed:
        value, expected = getattr(part.config, name), getattr(released, name)
        if value != expected:
            raise ModelFolderError(
                f"the official code has no {part.kind} with {name} = {value!r}, only with {expected!r}; this model "
                "stays in our layout."
            )


def _check_read_back(part: Part, official: OfficialPart, values: dict[str, Any], weights: Weights) -> None:
    try:
        different = _differences(part.config, official.read(values, weights))
    except ValueError as error:
        raise ModelFolderError(f"the official code cannot hold this {part.kind}: {error}") from None
    if different:
        raise ModelFolderError(f"the official code cannot hold this {part.kind}: {'; '.join(different)}.")


def _differences(config: Any, again: Any) -> list[str]:
    own, read = _compared(config), _compared(again)
    return [
        f"it would take {name} = {read.get(name)!r} for {value!r}" for name, value in own.items() if read[name] != value
    ]


def _compared(config: Any) -> dict[str, Any]:
    if isinstance(config, PretrainedConfig):
        values = {name: getattr(config, name) for name in _COMPARED if hasattr(config, name)}
        return values | ({"feature_layer": feature_layer(config)} if "image_size" in values else {})
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in _INERT}


def _config_file(
    part: Part, official: OfficialPart, values: dict[str, Any], weights: Weights, carried: Path
) -> PlannedFile:
    """The ``config.json`` that came with the model while it still fits, a new one otherwise."""
    path = carried / CONFIG_FILE
    if path.is_file():
        try:
            if not _differences(part.config, official.read(read_json_object(path), weights)):
                return CopiedFile(source=path)
        except ValueError:
            LOGGER.info("%s describes another network than the model's; a new one is written", path)
    return TextFile(text=json_text({"_diffusers_version": _VERSION, **values}))


def _json_file(path: Path, values: dict[str, Any], **must: Any) -> PlannedFile:
    """The file that came with the model if it says what it must, a new one otherwise."""
    if path.is_file():
        held = read_json_object(path)
        if all(held.get(name) == value for name, value in must.items()):
            return CopiedFile(source=path)
    return TextFile(text=json_text(values | must))
