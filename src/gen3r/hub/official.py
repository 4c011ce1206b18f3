"""The official model folder (JaceyH919/Gen3R): which of its files are which network of ours, in both directions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3r.hub.convert import KeyTable
from gen3r.hub.convert import sizes as convert_sizes
from gen3r.hub.convert.adapter import adapter_keys
from gen3r.hub.convert.transformer import transformer_json, transformer_keys
from gen3r.hub.convert.vggt import VGGT_KEYS
from gen3r.hub.convert.wan import (
    fuse_image_encoder,
    image_encoder_keys,
    split_image_encoder,
    text_encoder_keys,
    vae_keys,
)
from gen3r.hub.files import ModelFolderError, read_json_object
from gen3r.hub.folder import CONFIG_FILE
from gen3r.hub.layout import VGGT_COMPANION, ModelFolder
from gen3r.hub.networks import (
    ADAPTER,
    IMAGE_ENCODER,
    TEXT_ENCODER,
    TOKENIZER,
    TRANSFORMER,
    VAE,
    VGGT_FOLDER,
    OpenModel,
    Part,
)
from gen3r.hub.stored import StoredTensor, open_weights

Weights = Mapping[str, StoredTensor]
LOGGER = logging.getLogger(__name__)

SCHEDULER_FILE = Path("scheduler") / "scheduler_config.json"
SETTINGS_FILE = "gen3r.json"
"""Our settings beside the official files, where we wrote them; the official code does not look at it."""
CARRIED = "official"
UNUSED_STEM = "unused"
DIFFUSERS_STEM, HUB_STEM = "diffusion_pytorch_model", "model"

OFFICIAL_SETTINGS: dict[str, Any] = {
    "name": "gen3r",
    "revision": "official",
    "frames": 49,
    "height": 560,
    "width": 560,
    "steps": 50,
    "guidance": 5.0,
    "negative_prompt": "bad detailed",
    "conditioning": {
        "control_geometry": "zeros",
        "sample_control": False,
        "image_pixels": "untruncated",
        "normalize_scale": False,
    },
}
"""How the released weights were made and are sampled by the official script, but for two things done better: control
latents are the posterior's mean instead of a sample, and the image encoder's pixels are not cut to 8 bits. The shift of
the schedule and the text length are read from the folder."""


OFFICIAL_CLASSES = {
    "tokenizer": ["transformers", "T5TokenizerFast"],
    "text_encoder": ["gen3r.models.videoxfun_wan.wan_text_encoder", "WanT5EncoderModel"],
    "transformer": ["gen3r.models.videoxfun_wan.wan_transformer3d", "WanTransformer3DModel"],
    "clip_image_encoder": ["gen3r.models.videoxfun_wan.wan_image_encoder", "CLIPModel"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "geo_adapter": ["gen3r.models.geometry_adapter.geometry_adapter", "GeometryAdapter"],
    "wan_vae": ["gen3r.models.videoxfun_wan.wan_vae", "AutoencoderKLWan"],
    "vggt": ["gen3r.models.vggt.models.vggt", "VGGT"],
}
"""``model_index.json`` of a folder that we write; the official code reads it, this package does not."""


@dataclass(frozen=True, kw_only=True)
class OfficialPart:
    """One network in the official layout."""

    folder: str
    """Its folder."""
    read: Callable[[Mapping[str, Any], Weights], Any]
    """Our config from its ``config.json`` and its tensors; ValueError if they describe another network."""
    write: Callable[[Any], dict[str, Any]]
    """Its ``config.json`` from our config."""
    keys: Callable[[Any], KeyTable]
    """Its names and ours, for a config of ours."""
    split: Callable[[Weights], Mapping[str, StoredTensor]] = lambda weights: weights
    """Undo what the official classes fuse."""
    fuse: Callable[[Weights], Mapping[str, StoredTensor]] = lambda weights: weights
    """Fuse again."""
    stem: str = DIFFUSERS_STEM
    """Name of its weights, without ending."""
    shards: bool = True
    """Whether its official class can read shards."""
    fixed: tuple[str, ...] = ()
    """Fields of our config that are written into the official code, with the values of our defaults."""
    unread_level: int = logging.INFO
    """How loudly tensors without a use are told: WARNING where someone may miss what they do."""

    def open(self, kind: str, values: Mapping[str, Any], weights: Weights, origin: Path) -> Part:
        """The network behind a config and tensors; ``origin`` is named in errors.

        Raises:
            ModelFolderError: if they are those of another network.
        """
        try:
            config = self.read(values, weights)
        except ValueError as error:
            raise ModelFolderError(f"{origin}: {error}") from None
        part = Part(kind=kind, config=config, weights=self.split(weights), table=self.keys(config))
        self._tell_unread(part, weights)
        return part

    def unread(self, part: Part, weights: Weights) -> dict[str, StoredTensor]:
        """The tensors that our network has no use for."""
        return {name: tensor for name, tensor in weights.items() if part.table.to_ours(name) is None}

    def _tell_unread(self, part: Part, weights: Weights) -> None:
        unread = self.unread(part, weights)
        if unread:
            modules = ", ".join(_whole_modules(set(unread), set(weights) - set(unread)))
            many = f"{len(unread)} tensors of {modules} are" if len(unread) > 1 else f"1 tensor of {modules} is"
            LOGGER.log(self.unread_level, "%s: %s not used", part.kind, many)


def _whole_modules(unread: AbstractSet[str], read: AbstractSet[str]) -> list[str]:
    """The largest modules with all of some tensors and none of others, by their names without ``model.``."""
    shared = {".".join(name.split(".")[:depth]) for name in read for depth in range(1, name.count(".") + 1)}
    modules = set()
    for name in unread:
        leaves = name.split(".")
        heads = (".".join(leaves[:depth]) for depth in range(1, len(leaves) + 1))
        modules.add(next((head for head in heads if head not in shared), name).removeprefix("model."))
    return sorted(modules)


OFFICIAL_PARTS: dict[str, OfficialPart] = {
    VAE: OfficialPart(
        folder="wan_vae",
        read=convert_sizes.read_vae,
        write=convert_sizes.vae_json,
        keys=lambda config: vae_keys(len(config.dim_mult), config.num_res_blocks).within("vae"),
        fixed=(
            "linear",
            "is_residual",
            "patch_size",
            "decoder_base_dim",
            "z_dim",
            "dim_mult",
            "num_res_blocks",
            "temporal_downsample",
            "latents_mean",
            "latents_std",
        ),
    ),
    VGGT_FOLDER: OfficialPart(
        folder="vggt",
        read=convert_sizes.read_vggt,
        write=convert_sizes.vggt_json,
        keys=lambda config: VGGT_KEYS,
        stem=HUB_STEM,
        shards=False,
        unread_level=logging.WARNING,
        fixed=(
            "patch_embed",
            "initial_pose",
            "head_downsample",
            "kept_layers",
            "camera_iterations",
            "rope_base",
            "register_tokens",
        ),
    ),
    ADAPTER: OfficialPart(
        folder="geo_adapter",
        read=convert_sizes.read_adapter,
        write=convert_sizes.adapter_json,
        keys=adapter_keys,
        fixed=("multipliers", "temporal", "res_blocks", "io_kernel", "grid_ratio", "latents_mean", "latents_std"),
    ),
    TRANSFORMER: OfficialPart(
        folder="transformer",
        read=convert_sizes.read_transformer,
        write=transformer_json,
        keys=lambda config: transformer_keys(config.num_layers),
        fixed=("camera_downsample_first", "camera_residual_kernel", "shared_rope"),
    ),
    TEXT_ENCODER: OfficialPart(
        folder="text_encoder",
        read=convert_sizes.read_text,
        write=convert_sizes.text_json,
        keys=lambda config: text_encoder_keys(config.num_layers),
    ),
    IMAGE_ENCODER: OfficialPart(
        folder="clip_image_encoder",
        read=convert_sizes.read_image,
        write=convert_sizes.image_json,
        keys=lambda config: image_encoder_keys(config.num_hidden_layers, unused_blocks=1),
        split=split_image_encoder,
        fuse=fuse_image_encoder,
    ),
}
"""The networks of the official folder by our kinds."""


def open_official(model: ModelFolder) -> OpenModel:
    """Read the configs and the headers of an official folder; never through the classes that it names.

    Raises:
        ModelFolderError: naming the file that is missing, damaged or of another network.
    """
    parts = {kind: open_official_part(model, kind) for kind in OFFICIAL_PARTS}
    origin = model.path / SCHEDULER_FILE
    scheduler = read_json_object(origin)
    if "shift" not in scheduler:
        raise ModelFolderError(f"{origin} lacks the schedule's shift; fetch it again.")
    if scheduler.get("use_dynamic_shifting"):
        raise ModelFolderError(f"{origin}: expected a schedule without dynamic shifting, got one with it.")
    settings = official_settings(scheduler["shift"], parts[TRANSFORMER].config.text_length)
    own = model.path / SETTINGS_FILE
    if own.is_file():
        settings, origin = read_json_object(own) | {"shift": scheduler["shift"]}, own
    return OpenModel(settings=settings, origin=origin, parts=parts, tokenizer=model.path / TOKENIZER)


def official_settings(shift: float, text_length: int) -> dict[str, Any]:
    """Fields of the settings of an official model."""
    return OFFICIAL_SETTINGS | {"shift": shift, "text_length": text_length}


def carried_folder(folder: Path) -> Path:
    """Where a model folder of ours keeps what only the official layout has, at its official places."""
    return folder / CARRIED


def open_official_part(model: ModelFolder, kind: str) -> Part:
    """One network of an official folder; VGGT may be a companion of it.

    Raises:
        ModelFolderError: naming the file that is missing, damaged or of another network.
    """
    config_path = official_part_folder(model, kind) / CONFIG_FILE
    values = read_json_object(config_path)
    return OFFICIAL_PARTS[kind].open(kind, values, open_official_weights(model, kind), config_path)


def open_official_weights(model: ModelFolder, kind: str) -> dict[str, StoredTensor]:
    """All tensors of one network of an official folder, used or not; ModelFolderError as ``open_official_part``."""
    return open_weights(official_part_folder(model, kind), OFFICIAL_PARTS[kind].stem)


def official_part_folder(model: ModelFolder, kind: str) -> Path:
    """Where a network of an official folder lies.

    Raises:
        ModelFolderError: if it is nowhere.
    """
    folder = model.path / OFFICIAL_PARTS[kind].folder
    if folder.is_dir():
        return folder
    if kind == VGGT_FOLDER:
        companion = model.companions.get(VGGT_COMPANION)
        if companion is not None:
            return companion
        raise ModelFolderError(
            f"expected VGGT in {folder}, found no such folder; fetch facebook/VGGT-1B and put its config.json and "
            "model.safetensors there."
        )
    raise ModelFolderError(f"expected a folder {folder}, found none; is the download complete?")
