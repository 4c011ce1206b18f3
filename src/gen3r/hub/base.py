"""The model that training starts from: alibaba-pai's Wan2.1-Fun with camera control, as published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gen3r.hub.convert.transformer import widen_base_model
from gen3r.hub.files import ModelFolderError, read_json_object
from gen3r.hub.folder import CONFIG_FILE
from gen3r.hub.networks import IMAGE_ENCODER, TEXT_ENCODER, TRANSFORMER, VAE, Part
from gen3r.hub.official import DIFFUSERS_STEM, OFFICIAL_PARTS
from gen3r.hub.stored import open_pickled, open_weights

GEN3R_CHANNELS = 36
"""What the joint transformer reads: noisy latents, control latents, mask. The base model reads the first two."""

_PICKLED = {VAE: "Wan*_VAE.pth", TEXT_ENCODER: "models_t5_*.pth", IMAGE_ENCODER: "models_clip_*.pth"}
"""Files of the other networks, all in the folder itself."""


def open_base_model(folder: Path, in_channels: int = GEN3R_CHANNELS) -> dict[str, Part]:
    """The networks of a Wan2.1-Fun Control-Camera folder by kind, the transformer ready for training.

    Its patch kernel is widened with zeros to ``in_channels``, as the official training does; every other tensor is as
    published. Each part loads by itself: ``open_base_model(folder)["transformer"].load(placement)``.

    Raises:
        ModelFolderError: naming the file that is missing, damaged or of another network.
    """
    return {
        TRANSFORMER: _open_transformer(folder, in_channels),
        **{kind: _open_pickled_part(folder, kind, pattern) for kind, pattern in _PICKLED.items()},
    }


def _open_transformer(folder: Path, in_channels: int) -> Part:
    path = folder / CONFIG_FILE
    values: dict[str, Any] = read_json_object(path) | {"in_dim": in_channels}
    weights = widen_base_model(open_weights(folder, DIFFUSERS_STEM), in_channels)
    return OFFICIAL_PARTS[TRANSFORMER].open(TRANSFORMER, values, weights, path)


def _open_pickled_part(folder: Path, kind: str, pattern: str) -> Part:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise ModelFolderError(f"expected one file {pattern} in {folder}, found {len(found)}; is the folder complete?")
    return OFFICIAL_PARTS[kind].open(kind, {}, open_pickled(found[0]), found[0])
