"""A whole model folder: ``pipeline.json`` and one folder per network, read strictly, written as one."""

from __future__ import annotations

import dataclasses
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from gen3r.conditioning.image import IMAGE_PIXELS, ImageEncoder
from gen3r.conditioning.text import TextEncoder
from gen3r.hub.folder import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    ModelFolderError,
    config_from_dict,
    load_network,
    load_weights,
    read_json,
    save_network,
    stored_tensors,
    write_json,
)
from gen3r.hub.registry import PIPELINE_FILE
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.geometry import GeometryCodec
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.models.vae import LinearShortcutVAE, VAEConfig
from gen3r.models.vggt import VGGT, VGGTConfig

VAE, VGGT_FOLDER, ADAPTER, TRANSFORMER = "vae", "vggt", "geometry_adapter", "transformer"
TEXT_ENCODER, TOKENIZER, IMAGE_ENCODER = "text_encoder", "tokenizer", "image_encoder"

PipelineSettings = TypeVar("PipelineSettings")


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The networks of a pipeline."""

    appearance: AppearanceCodec
    """The video VAE with its normalisation."""
    geometry: GeometryCodec
    """VGGT and the geometry adapter."""
    transformer: JointTransformer
    """The denoiser."""
    text: TextEncoder
    """Tokenizer and text encoder."""
    image: ImageEncoder | None = None
    """Image encoder, for transformers that read image features."""

    def modules(self) -> list[nn.Module]:
        """All networks as modules."""
        always = [self.appearance, self.geometry, self.transformer, self.text]
        return always if self.image is None else [*always, self.image]


def load_networks(folder: Path, settings_class: type[PipelineSettings]) -> tuple[Networks, PipelineSettings]:
    """Read a model folder written by ``save_networks``; on the CPU in float32.

    Raises:
        ModelFolderError: naming what is missing, unexpected or misshapen.
    """
    origin = folder / PIPELINE_FILE
    settings = config_from_dict(settings_class, read_json(origin), str(origin))
    vae = load_vae(folder / VAE)
    networks = Networks(
        appearance=AppearanceCodec(vae, vae.config.latents_mean, vae.config.latents_std),
        geometry=GeometryCodec(
            load_network(VGGT, VGGTConfig, folder / VGGT_FOLDER),
            load_network(GeometryAdapter, AdapterConfig, folder / ADAPTER),
        ),
        transformer=load_network(JointTransformer, TransformerConfig, folder / TRANSFORMER),
        text=load_text(folder, cast(Any, settings).text_length),
    )
    if networks.transformer.settings.image_dim is not None:
        pixels = IMAGE_PIXELS[cast(Any, settings).conditioning.image_pixels]
        networks = dataclasses.replace(networks, image=load_image_encoder(folder / IMAGE_ENCODER, pixels))
    return networks, settings


def load_vae(folder: Path) -> LinearShortcutVAE:
    """The video VAE of a model folder."""
    return load_network(LinearShortcutVAE, VAEConfig, folder)


def load_text(folder: Path, length: int) -> TextEncoder:
    """Tokenizer and umT5-class encoder from the two folders below ``folder``, without touching the network."""
    encoder_folder, tokenizer_file = folder / TEXT_ENCODER, folder / TOKENIZER / "tokenizer.json"
    if not tokenizer_file.is_file():
        raise ModelFolderError(f"expected a tokenizer at {tokenizer_file}, found none; is the model folder complete?")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / TOKENIZER, local_files_only=True)
    encoder = UMT5EncoderModel(UMT5Config.from_dict(read_json(encoder_folder / CONFIG_FILE)))
    load_encoder_weights(encoder, encoder_folder / WEIGHTS_FILE)
    return TextEncoder(tokenizer, encoder, length)


def load_image_encoder(folder: Path, pixels: Callable[[Tensor], Tensor]) -> ImageEncoder:
    """CLIP's vision tower of a model folder, with its preprocessing."""
    vision = CLIPVisionModel(CLIPVisionConfig.from_dict(read_json(folder / CONFIG_FILE)))
    return ImageEncoder(load_weights(vision, folder / WEIGHTS_FILE), pixels)


def load_encoder_weights(encoder: UMT5EncoderModel, path: Path) -> None:
    """Fill a text encoder strictly; its tied embedding is stored once under the name transformers gives it."""
    load_weights(encoder, path)


def save_networks(networks: Networks, settings: Any, folder: Path, storage: torch.dtype | None = None) -> None:
    """Write a model folder under a temporary name, then put it in place of ``folder``.

    ``storage`` is the type of floating tensors in the files (None: as they are); loading widens them to float32 again.

    Raises:
        ValueError: if ``folder`` exists and is not a model folder.
    """
    if folder.exists() and not (folder / PIPELINE_FILE).is_file():
        raise ValueError(f"expected a new folder or an old model folder to replace, got {folder}; choose another one.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        _write(networks, settings, temporary, storage)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(networks: Networks, settings: Any, folder: Path, storage: torch.dtype | None) -> None:
    vae = networks.appearance.vae
    if not isinstance(vae, LinearShortcutVAE):
        raise ValueError(f"expected a LinearShortcutVAE to save, got {type(vae).__name__}.")
    save_network(vae, vae.config, folder / VAE, storage)
    save_network(networks.geometry.vggt, networks.geometry.vggt.config, folder / VGGT_FOLDER, storage)
    save_network(networks.geometry.adapter, networks.geometry.adapter.config, folder / ADAPTER, storage)
    save_network(networks.transformer, networks.transformer.settings, folder / TRANSFORMER, storage)
    save_text(networks.text, folder, storage)
    if networks.image is not None:
        vision = cast(CLIPVisionModel, networks.image.vision)
        vision.config.save_pretrained(folder / IMAGE_ENCODER)
        save_file(stored_tensors(vision, storage), folder / IMAGE_ENCODER / WEIGHTS_FILE)
    write_json(folder / PIPELINE_FILE, dataclasses.asdict(settings))


def save_text(text: TextEncoder, folder: Path, storage: torch.dtype | None = None) -> None:
    """Write the two folders that ``load_text`` reads."""
    encoder = text.encoder
    assert isinstance(encoder, UMT5EncoderModel)
    target = folder / TEXT_ENCODER
    target.mkdir(parents=True, exist_ok=True)
    encoder.config.save_pretrained(target)
    save_file(stored_tensors(encoder, storage), target / WEIGHTS_FILE)
    text.tokenizer.save_pretrained(folder / TOKENIZER)
