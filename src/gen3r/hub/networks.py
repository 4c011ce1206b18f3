"""The networks of a model: their names, their configs, and how each is built and put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

from gen3r.conditioning.image import IMAGE_PIXELS, ImageEncoder
from gen3r.conditioning.text import TextEncoder
from gen3r.hub.convert import KeyTable
from gen3r.hub.files import ModelFolderError
from gen3r.hub.folder import config_from_dict
from gen3r.hub.stored import StoredTensor
from gen3r.hub.stream import Placement, build_on_meta, stream_weights
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import DEFAULT_CODEC, CodecName, GeometryCodec
from gen3r.latents.codecs.base import ADAPTER, VAE, VGGT_FOLDER
from gen3r.latents.codecs.registry import CODECS, build_codec
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.models.vae import LinearShortcutVAE, VAEConfig
from gen3r.models.vggt import VGGT, VGGTConfig

TRANSFORMER = "transformer"
TEXT_ENCODER, TOKENIZER, IMAGE_ENCODER = "text_encoder", "tokenizer", "image_encoder"
TOKENIZER_FILE = "tokenizer.json"
PENULTIMATE = -2
"""Image features of a whole vision tower: the output of all blocks but the last."""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The networks of a pipeline."""

    appearance: AppearanceCodec
    """The video VAE with its normalisation."""
    geometry: GeometryCodec
    """The geometry codec and what it is made of: VGGT and the geometry adapter, or others."""
    transformer: JointTransformer
    """The denoiser."""
    text: TextEncoder
    """Tokenizer and text encoder."""
    image: ImageEncoder | None = None
    """Image encoder, for transformers that read image features."""
    few_steps: Part | None = None
    """A second transformer, for few steps; read when it is needed."""

    def modules(self) -> list[nn.Module]:
        """All networks as modules."""
        always = [self.appearance, self.geometry, self.transformer, self.text]
        return always if self.image is None else [*always, self.image]


@dataclass(frozen=True, kw_only=True)
class NetworkKind:
    """One of the networks: what its ``config.json`` becomes, and what that builds."""

    build: Callable[[Any], nn.Module]
    """The network of a config."""
    read: Callable[[dict[str, Any], str], Any]
    """Config from the JSON of our layout and the name of its file; ModelFolderError if they do not fit."""
    write: Callable[[Any], dict[str, Any]] = dataclasses.asdict
    """The JSON of a config."""
    decodes: tuple[str, ...] = ()
    """How the names of weights begin that only read latents: no latent changes if others take their place."""

    def encodes(self, name: str) -> bool:
        """Whether the weight of that name has a say in what is made of data."""
        return not name.startswith(self.decodes)


def _dataclass_kind(
    build: Callable[[Any], nn.Module], config_class: type, decodes: tuple[str, ...] = ()
) -> NetworkKind:
    return NetworkKind(
        build=build, read=lambda values, origin: config_from_dict(config_class, values, origin), decodes=decodes
    )


def feature_layer(config: PretrainedConfig) -> int:
    """Which hidden states of a vision tower are the image features: the last but one, unless its config says so."""
    return getattr(config, "feature_layer", PENULTIMATE)


def build_vision(config: CLIPVisionConfig) -> CLIPVisionModel:
    """A vision tower; without the norm at its end when the features are taken before that."""
    vision = CLIPVisionModel(config)
    if feature_layer(config) != PENULTIMATE:
        vision.post_layernorm = cast(Any, nn.Identity())
    return vision


KINDS: dict[str, NetworkKind] = {
    VAE: _dataclass_kind(
        LinearShortcutVAE, VAEConfig, decodes=("vae.decoder.", "vae.post_quant_conv.", "linear.decode_")
    ),
    VGGT_FOLDER: _dataclass_kind(VGGT, VGGTConfig),
    ADAPTER: _dataclass_kind(GeometryAdapter, AdapterConfig, decodes=("decoder.", "unmoments.", "linear.decode_")),
    TRANSFORMER: _dataclass_kind(JointTransformer, TransformerConfig),
    TEXT_ENCODER: NetworkKind(
        build=UMT5EncoderModel,
        read=lambda values, _: UMT5Config.from_dict(values),
        write=lambda config: config.to_dict(),
    ),
    IMAGE_ENCODER: NetworkKind(
        build=build_vision,
        read=lambda values, _: CLIPVisionConfig.from_dict(values),
        write=lambda config: config.to_dict(),
    ),
}
"""All networks by their folder in our layout."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One network of a model folder that is not in memory yet."""

    kind: str
    """Which of ``KINDS``."""
    config: Any
    """Its config."""
    weights: Mapping[str, StoredTensor]
    """What its files hold, under the names of ``table``'s official side."""
    table: KeyTable
    """Those names to ours."""

    def build(self) -> nn.Module:
        """The network without memory."""
        return build_on_meta(lambda: KINDS[self.kind].build(self.config))

    def load(self, placement: Placement | None = None) -> Any:
        """The network with its weights."""
        return stream_weights(self.build(), self.weights, self.table, placement)

    def our_weights(self) -> dict[str, StoredTensor]:
        """Its tensors under our names, tied ones once; ModelFolderError naming those that do not fit."""
        network = self.build()
        ours = self.table.convert(self.weights, network)
        state = network.state_dict(keep_vars=True)
        first = {id(tensor): name for name, tensor in reversed(state.items())}
        return {name: ours[name] for name, tensor in state.items() if first[id(tensor)] == name}


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """A model folder whose configs and headers were read, and no weights."""

    settings: dict[str, Any]
    """Fields of the pipeline's settings."""
    origin: Path
    """The file they are from."""
    parts: Mapping[str, Part]
    """Its networks by kind."""
    tokenizer: Path
    """Folder of its tokenizer."""
    few_steps: Part | None = None
    """Its transformer for few steps, see ``hub.few_steps``."""

    @property
    def codec(self) -> CodecName:
        """The geometry codec that its settings name.

        Raises:
            ModelFolderError: for one that is not known.
        """
        return codec_of(self.settings, self.origin)


def assemble(
    model: OpenModel,
    settings: Any,
    placements: Mapping[str, Placement],
    text: Callable[[OpenModel, int, Placement | None], TextEncoder] | None = None,
) -> Networks:
    """Read the networks of ``model``, each to its place (left out: the CPU, float32).

    ``text`` makes the text encoder, of so many rows, in place of ``load_text_part``; it may put off reading it.
    """
    networks = {kind: part.load(placements.get(kind)) for kind, part in model.parts.items() if kind != TEXT_ENCODER}
    image = None
    if IMAGE_ENCODER in networks:
        pixels = IMAGE_PIXELS[settings.conditioning.image_pixels]
        image = ImageEncoder(networks[IMAGE_ENCODER], pixels, feature_layer(networks[IMAGE_ENCODER].config))
    appearance = appearance_codec(networks[VAE])
    return Networks(
        appearance=appearance,
        geometry=build_codec(model.codec, appearance, networks),
        transformer=networks[TRANSFORMER],
        text=(text or load_text_part)(model, settings.text_length, placements.get(TEXT_ENCODER)),
        image=image,
        few_steps=model.few_steps,
    )


def codec_of(settings: Mapping[str, Any], origin: Path) -> CodecName:
    """The geometry codec that settings name, by default that of folders from before there were others.

    Raises:
        ModelFolderError: for one that is not known.
    """
    name = settings.get("codec", DEFAULT_CODEC)
    if name not in CODECS:
        raise ModelFolderError(f"{origin}: expected codec to be one of {', '.join(CODECS)}, got {name!r}.")
    return name


def load_text_part(model: OpenModel, length: int, placement: Placement | None = None) -> TextEncoder:
    """Tokenizer and text encoder of ``model``, for features of ``length`` rows."""
    return TextEncoder(load_tokenizer(model.tokenizer), model.parts[TEXT_ENCODER].load(placement), length)


def appearance_codec(vae: LinearShortcutVAE) -> AppearanceCodec:
    """A VAE with the normalisation of its config, where the VAE is."""
    codec = AppearanceCodec(vae, vae.config.latents_mean, vae.config.latents_std)
    return codec.to(device=next(vae.parameters()).device)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, without touching the network."""
    file = folder / TOKENIZER_FILE
    if not file.is_file():
        raise ModelFolderError(f"expected a tokenizer at {file}, found none; is the model folder complete?")
    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
