"""The encoders of a model, some of them from other folders, and what they are called."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.conditioning.image import IMAGE_PIXELS, ImageEncoder
from gen3r.hub.files import read_json_object
from gen3r.hub.folder import CONFIG_FILE, WEIGHTS_STEM, config_from_dict
from gen3r.hub.load import open_model
from gen3r.hub.networks import (
    ADAPTER,
    IMAGE_ENCODER,
    KINDS,
    TEXT_ENCODER,
    VAE,
    VGGT_FOLDER,
    OpenModel,
    Part,
    appearance_codec,
    feature_layer,
    load_text_part,
)
from gen3r.hub.registry import resolve_model
from gen3r.hub.stored import open_weights
from gen3r.hub.stream import SAME_NAMES, Placement
from gen3r.latents.codecs.registry import CODECS, build_codec, check_control, encoders_of
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.memory import NARROWED
from gen3r.prepare.encoding.config import EncodeConfig
from gen3r.train.latents.encoders import FrozenEncoders
from gen3r.train.latents.identity import model_identities
from gen3r.train.latents.layout import LatentSettings

REPLACEABLE = (VGGT_FOLDER, VAE, ADAPTER)
"""Networks that a run may provide."""


@dataclass(frozen=True, kw_only=True)
class EncodingModel:
    """A model whose encoders are not in memory yet."""

    model: OpenModel
    """Configs and headers, with replaced parts."""
    pipeline: PipelineConfig
    """Its settings."""
    conditioning: ConditioningConfig
    """How conditions are made."""
    settings: LatentSettings
    """Of the latents it makes."""
    networks: dict[str, str]
    """sha256 of every encoder that is used."""

    @classmethod
    def open(cls, config: EncodeConfig) -> EncodingModel:
        """Find the model of ``config`` and hash its encoders.

        Raises:
            ValueError: for an unknown model, sizes it cannot encode, or networks that do not fit each other.
        """
        model = _replaced(open_model(resolve_model(config.model)), config.networks)
        pipeline = config_from_dict(PipelineConfig, model.settings, str(model.origin))
        changes = {
            name: getattr(config, name)
            for name in ("control_geometry", "sample_control", "normalize_scale")
            if getattr(config, name) is not None
        }
        conditioning = dataclasses.replace(pipeline.conditioning, **changes)
        check_control(model.codec, conditioning.control_geometry)
        height, width = config.size or (pipeline.height, pipeline.width)
        reader = model.parts.get(VGGT_FOLDER)
        patch = LatentGrid.patch if reader is None else reader.config.patch_size
        grid = LatentGrid(config.frames or pipeline.frames, height, width, patch)
        used = (*encoders_of(model.codec), IMAGE_ENCODER, *((TEXT_ENCODER,) if config.text else ()))
        networks = {kind: identity for kind, identity in model_identities(model).items() if kind in used}
        settings = LatentSettings(
            frames=grid.frames,
            height=grid.height,
            width=grid.width,
            subsets=config.subsets,
            control_geometry=conditioning.control_geometry,
            sample_control=conditioning.sample_control,
            image_pixels=conditioning.image_pixels if IMAGE_ENCODER in model.parts else None,
            normalize_scale=conditioning.normalize_scale,
            dtype=config.dtype,
            codec=model.codec,
        )
        return cls(model=model, pipeline=pipeline, conditioning=conditioning, settings=settings, networks=networks)

    def load(self, device: torch.device, dtype: torch.dtype) -> FrozenEncoders:
        """The encoders, geometry in float32 and the others in ``dtype``."""
        parts = self.model.parts

        def load(kind: str) -> Any:
            return parts[kind].load(self._placement(kind, device, dtype))

        text = None
        if TEXT_ENCODER in self.networks:
            placement = self._placement(TEXT_ENCODER, device, dtype)
            text = load_text_part(self.model, self.pipeline.text_length, placement)
        image = None
        if self.settings.image_pixels is not None:
            vision = load(IMAGE_ENCODER)
            image = ImageEncoder(vision, IMAGE_PIXELS[self.conditioning.image_pixels], feature_layer(vision.config))
        appearance, codec = appearance_codec(load(VAE)), CODECS[self.model.codec]
        coding = {kind: load(kind) for kind in (*codec.networks, *codec.optional) if kind in parts}
        geometry = build_codec(self.model.codec, appearance, coding)
        return FrozenEncoders(appearance, geometry, self.conditioning, text=text, image=image)

    @staticmethod
    def _placement(kind: str, device: torch.device, dtype: torch.dtype) -> Placement:
        return Placement(device=device, dtype=dtype if kind in NARROWED else None)


def _replaced(model: OpenModel, folders: tuple[str, ...]) -> OpenModel:
    found: dict[str, Part] = {}
    for folder in map(Path, folders):
        before = len(found)
        for place in (folder, folder / "export"):
            for kind in REPLACEABLE:
                if (place / kind / CONFIG_FILE).is_file() and kind not in found:
                    found[kind] = _open(place / kind, kind)
        if len(found) == before:
            raise ValueError(f"expected a {', '.join(REPLACEABLE)} in {folder} or its export, found nothing new.")
    return dataclasses.replace(model, parts={**model.parts, **found})


def _open(folder: Path, kind: str) -> Part:
    path = folder / CONFIG_FILE
    config = KINDS[kind].read(read_json_object(path), str(path))
    return Part(kind=kind, config=config, weights=open_weights(folder, WEIGHTS_STEM), table=SAME_NAMES)
