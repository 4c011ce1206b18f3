"""A whole model folder, ours or the official one, to networks; and networks to a model folder of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import nn

from gen3r.conditioning.text import TextEncoder
from gen3r.hub.few_steps import student_of
from gen3r.hub.files import read_json_object, whole_folder, write_json
from gen3r.hub.folder import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    WEIGHTS_STEM,
    config_from_dict,
    load_network,
    save_network,
    stored_tensors,
)
from gen3r.hub.layout import PIPELINE_FILE, Layout, ModelFolder, as_model_folder
from gen3r.hub.networks import (
    IMAGE_ENCODER,
    KINDS,
    TEXT_ENCODER,
    TOKENIZER,
    TRANSFORMER,
    VAE,
    Networks,
    OpenModel,
    Part,
    assemble,
    codec_of,
    load_tokenizer,
)
from gen3r.hub.official import open_official
from gen3r.hub.stored import open_weights
from gen3r.hub.stream import SAME_NAMES, Placement
from gen3r.latents.codecs.registry import CODECS
from gen3r.models.vae import LinearShortcutVAE, VAEConfig

PipelineSettings = TypeVar("PipelineSettings")


def load_networks(
    folder: ModelFolder | Path,
    settings_class: type[PipelineSettings],
    placements: Mapping[str, Placement] | None = None,
    text: Callable[[OpenModel, int, Placement | None], TextEncoder] | None = None,
) -> tuple[Networks, PipelineSettings]:
    """Read a model folder of any layout.

    Args:
        folder: of the model.
        settings_class: dataclass of the pipeline's settings.
        placements: device and type by network ("vae", "vggt", "geometry_adapter", "transformer", "text_encoder",
            "image_encoder"); left out, the CPU and float32.
        text: makes the text encoder, see ``networks.assemble``.

    Raises:
        ModelFolderError: naming what is missing, unexpected, misshapen or damaged, and its file.
    """
    placements = placements or {}
    unknown = sorted(set(placements) - set(KINDS))
    if unknown:
        raise ValueError(f"expected placements of {', '.join(KINDS)}, got {', '.join(unknown)}.")
    model = open_model(folder)
    settings = config_from_dict(settings_class, model.settings, str(model.origin))
    return assemble(model, settings, placements, text), settings


def open_model(folder: ModelFolder | Path) -> OpenModel:
    """Read the configs and the headers of a model folder of any layout; ModelFolderError as ``load_networks``."""
    model = as_model_folder(folder)
    return _OPENERS[model.layout](model)


def _open_ours(model: ModelFolder) -> OpenModel:
    folder = model.path
    origin = folder / PIPELINE_FILE
    settings = read_json_object(origin)
    codec = CODECS[codec_of(settings, origin)]
    there = [kind for kind in codec.optional if (folder / kind / CONFIG_FILE).is_file()]
    parts = {kind: _open_part(folder, kind) for kind in (VAE, *codec.networks, *there, TRANSFORMER, TEXT_ENCODER)}
    if parts[TRANSFORMER].config.image_dim is not None:
        parts[IMAGE_ENCODER] = _open_part(folder, IMAGE_ENCODER)
    return OpenModel(
        settings=settings,
        origin=origin,
        parts=parts,
        tokenizer=folder / TOKENIZER,
        few_steps=student_of(settings, folder, parts[TRANSFORMER]),
    )


def _open_part(folder: Path, kind: str) -> Part:
    path = folder / kind / CONFIG_FILE
    config = KINDS[kind].read(read_json_object(path), str(path))
    return Part(kind=kind, config=config, weights=open_weights(folder / kind, WEIGHTS_STEM), table=SAME_NAMES)


_OPENERS: dict[Layout, Callable[[ModelFolder], OpenModel]] = {"gen3r": _open_ours, "official": open_official}


def load_vae(folder: Path) -> LinearShortcutVAE:
    """The video VAE of a model folder."""
    return load_network(LinearShortcutVAE, VAEConfig, folder)


def load_text(folder: Path, length: int) -> TextEncoder:
    """Tokenizer and umT5-class encoder from the two folders below ``folder``, without touching the network."""
    tokenizer = load_tokenizer(folder / TOKENIZER)
    return TextEncoder(tokenizer, _open_part(folder, TEXT_ENCODER).load(), length)


def save_networks(networks: Networks, settings: Any, folder: Path, storage: torch.dtype | None = None) -> None:
    """Write a model folder under a temporary name, then put it in place of ``folder``.

    ``storage`` is the type of floating tensors in the files (None: as they are); loading widens them to float32 again.

    Raises:
        ValueError: if ``folder`` exists and is not a model folder.
    """
    if folder.exists() and not (folder / PIPELINE_FILE).is_file():
        raise ValueError(f"expected a new folder or an old model folder to replace, got {folder}; choose another one.")
    with whole_folder(folder) as temporary:
        _write(networks, settings, temporary, storage)


def _write(networks: Networks, settings: Any, folder: Path, storage: torch.dtype | None) -> None:
    vae = networks.appearance.vae
    if not isinstance(vae, LinearShortcutVAE):
        raise ValueError(f"expected a LinearShortcutVAE to save, got {type(vae).__name__}.")
    save_network(vae, vae.config, folder / VAE, storage)
    for name, network in networks.geometry.parts().items():
        save_network(network, network.config, folder / name, storage)
    save_network(networks.transformer, networks.transformer.settings, folder / TRANSFORMER, storage)
    save_text(networks.text, folder, storage)
    if networks.image is not None:
        _save_encoder(networks.image.vision, folder / IMAGE_ENCODER, IMAGE_ENCODER, storage)
    values = dataclasses.asdict(settings)
    if networks.few_steps is not None:
        place = folder / values["few_steps"]["folder"]
        save_network(networks.few_steps.load(), networks.few_steps.config, place, storage)
    write_json(folder / PIPELINE_FILE, values)


def save_text(text: TextEncoder, folder: Path, storage: torch.dtype | None = None) -> None:
    """Write the two folders that ``load_text`` reads."""
    _save_encoder(text.encoder, folder / TEXT_ENCODER, TEXT_ENCODER, storage)
    text.tokenizer.save_pretrained(folder / TOKENIZER)


def _save_encoder(encoder: nn.Module, folder: Path, kind: str, storage: torch.dtype | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG_FILE, KINDS[kind].write(encoder.config))
    save_file(stored_tensors(encoder, storage), folder / WEIGHTS_FILE)
