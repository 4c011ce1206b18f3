"""What a stage is built from, and what it is built to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gen3r.conditioning.image import IMAGE_PIXELS, ImageEncoder
from gen3r.conditioning.text import TextEncoder
from gen3r.hub.networks import (
    IMAGE_ENCODER,
    TEXT_ENCODER,
    VAE,
    VGGT_FOLDER,
    Part,
    appearance_codec,
    feature_layer,
    load_tokenizer,
)
from gen3r.hub.stream import Placement
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import GeometryCodec
from gen3r.latents.codecs.registry import CODECS, build_codec
from gen3r.models.vggt import VGGT
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import Preset
from gen3r.train.batches import Batches
from gen3r.train.earlier import Parts
from gen3r.train.encoded import EncodedClips
from gen3r.train.initial import initial_config, open_initial, start_from
from gen3r.train.objectives.base import Objective
from gen3r.train.sources import ClipSource


@dataclass(frozen=True, kw_only=True)
class StageInputs:
    """What a stage is built from."""

    preset: Preset
    """Sizes and schedules."""
    loop: LoopConfig
    """The stage's schedule after overrides."""
    data: ClipSource | EncodedClips
    """What is trained on."""
    held: ClipSource | EncodedClips | None
    """What is validated on: never trained on."""
    networks: Parts
    """Networks of earlier stages and published ones, by kind."""
    tokenizer: Path | None
    """Folder of the tokenizer beside the text encoder among ``networks``."""
    encoders: Mapping[str, str]
    """sha256 of the networks that make or made the latents, by kind."""
    initial: str | Path | None
    """Where the trained network's first weights are; None: they are random."""
    out: Path
    """Folder of the run."""
    fresh: bool
    """Whether the run has no checkpoint yet: it starts from ``initial``, or from closed-form starts."""
    report: Callable[[int, int], None]
    """Told about the clips encoded so far, and of how many."""
    tell: Callable[[str], None]
    """Told, in one line, what the user should know of the run."""

    @property
    def clips(self) -> ClipSource:
        """What is trained on, for stages that need pictures; ValueError for encoded clips."""
        return _pictures(self.data)

    @property
    def validation(self) -> ClipSource | None:
        """What is validated on, for stages that need pictures; ValueError for encoded clips."""
        return None if self.held is None else _pictures(self.held)

    def part(self, kind: str) -> Part:
        """A network that this stage builds on.

        Raises:
            ValueError: if there is none.
        """
        if kind not in self.networks:
            raise ValueError(
                f"this stage builds on a trained {kind}, found none; train it first and name its run with --networks, "
                "or name a model folder that has one."
            )
        return self.networks[kind]

    def vggt(self) -> VGGT:
        """The earlier VGGT."""
        return self.part(VGGT_FOLDER).load()

    def appearance(self) -> AppearanceCodec:
        """The earlier VAE with its normalisation."""
        return appearance_codec(self.part(VAE).load())

    def geometry(self, appearance: AppearanceCodec) -> GeometryCodec:
        """The geometry codec of the preset, of ``appearance`` and the earlier networks it is made of.

        Raises:
            ValueError: if one of them is missing.
        """
        name = self.preset.diffusion.codec
        return build_codec(name, appearance, {kind: self.part(kind).load() for kind in CODECS[name].networks})

    @property
    def _narrow(self) -> Placement:
        """Encoders that only give features are kept as narrow as the arithmetic of the run: umT5 has 5.7 G weights."""
        return Placement(dtype=torch.bfloat16 if self.loop.precision == "bf16" else None)

    def text(self) -> TextEncoder | None:
        """The text encoder among ``networks``, if it is there with its tokenizer."""
        if TEXT_ENCODER not in self.networks or self.tokenizer is None:
            return None
        length = self.preset.diffusion.network.text_length
        return TextEncoder(load_tokenizer(self.tokenizer), self.networks[TEXT_ENCODER].load(self._narrow), length)

    def image(self) -> ImageEncoder:
        """The image encoder among ``networks``."""
        vision = self.part(IMAGE_ENCODER).load(self._narrow)
        pixels = IMAGE_PIXELS[self.preset.diffusion.conditioning.image_pixels]
        return ImageEncoder(vision, pixels, feature_layer(vision.config))

    def started(self, kind: str, config: Any, build: Callable[[Any], Any]) -> Any:
        """The network that is trained: random, or with the first weights asked for (a resumed run has its own).

        Raises:
            ValueError: if those are of another network, or lack something.
        """
        if self.initial is None:
            return build(config)
        part = open_initial(self.initial, kind, config)
        network = build(initial_config(part, config))
        if self.fresh:
            self.tell(f"{kind} {start_from(network, part).describe(self.initial)}")
        return network


@dataclass(frozen=True)
class StageParts:
    """What the loop is given."""

    objective: Objective
    """What is optimised."""
    batches: Batches
    """What it is trained on."""
    validation: Batches | None
    """What it is validated on."""


def _pictures(data: ClipSource | EncodedClips) -> ClipSource:
    if isinstance(data, EncodedClips):
        raise ValueError("this stage trains on pictures, got encoded clips, which are for diffusion alone.")
    return data
