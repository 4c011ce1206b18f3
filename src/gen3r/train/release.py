"""From finished runs to a model folder that ``Gen3RPipeline.from_pretrained`` reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gen3r.conditioning.image import IMAGE_PIXELS, ImageEncoder
from gen3r.conditioning.text import TextEncoder
from gen3r.hub.files import read_json_object
from gen3r.hub.load import save_networks
from gen3r.hub.networks import (
    IMAGE_ENCODER,
    TEXT_ENCODER,
    TRANSFORMER,
    VAE,
    VGGT_FOLDER,
    Networks,
    appearance_codec,
    feature_layer,
    load_tokenizer,
)
from gen3r.latents.codecs.registry import CODECS, build_codec
from gen3r.pipeline.config import PipelineConfig
from gen3r.presets import load_preset
from gen3r.presets.codecs import with_codec
from gen3r.presets.stages import Preset
from gen3r.train.distilled import student_in
from gen3r.train.earlier import RUN_EXPORT, Parts, find_parts, folder_of, open_parts, tokenizer_of
from gen3r.train.encoded import identities
from gen3r.train.latents.identity import CODEC, ENCODERS_FILE


@dataclass(frozen=True, kw_only=True)
class ReleaseConfig:
    """What to put together."""

    runs: tuple[Path, ...]
    """Runs of the stages, their exports, and model folders; the first that has a network provides it."""
    preset: str
    """Preset the stages were trained with."""
    out: Path
    """Model folder to write; an older model folder there is replaced."""
    revision: str
    """Which training this is, for provenance."""
    name: str | None = None
    """What the model is called; the preset's name if left out."""
    max_travel: float | None = None
    """Farthest camera displacement in the training clips, in mean depths of the first view."""
    steps: int | None = None
    """Default denoising steps; the preset's if left out."""
    half: bool = True
    """Store weights as float16: half the size; networks still run in float32."""


def release(config: ReleaseConfig, preset: Preset | None = None) -> Path:
    """Collect the networks of ``config.runs`` into ``config.out``; ``preset`` replaces the named one.

    Raises:
        ValueError: naming the network that no run has, or that is not the one whose latents the transformer was trained
            on.
    """
    preset = preset or load_preset(config.preset)
    codec = _trained_on(config.runs).get(CODEC)
    if codec is not None:
        preset = with_codec(preset, codec)
    stage, parts = preset.diffusion, find_parts(config.runs)
    image = [IMAGE_ENCODER] if stage.network.image_dim is not None else []
    coded = CODECS[stage.codec]
    for kind in (VAE, *coded.networks, TRANSFORMER, TEXT_ENCODER, *image):
        if kind not in parts:
            raise ValueError(
                f"expected a run with an exported {kind}, found none in {', '.join(map(str, config.runs))}; train it "
                "first, or name a model folder that has it."
            )
    tokenizer = tokenizer_of(config.runs)
    if tokenizer is None:
        raise ValueError("expected a tokenizer beside the text encoder, found none; export that run again.")
    _check_encoders(config.runs, parts, tokenizer)
    vision = parts[IMAGE_ENCODER].load() if image else None
    pixels = IMAGE_PIXELS[stage.conditioning.image_pixels]
    appearance = appearance_codec(parts[VAE].load())
    coding = {kind: parts[kind].load() for kind in (*coded.networks, *coded.optional) if kind in parts}
    few, student = student_in(config.runs, parts[TRANSFORMER])
    networks = Networks(
        appearance=appearance,
        geometry=build_codec(stage.codec, appearance, coding),
        transformer=parts[TRANSFORMER].load(),
        text=TextEncoder(load_tokenizer(tokenizer), parts[TEXT_ENCODER].load(), stage.network.text_length),
        image=None if vision is None else ImageEncoder(vision, pixels, feature_layer(vision.config)),
        few_steps=student,
    )
    settings = PipelineConfig(
        name=config.name or preset.name,
        revision=config.revision,
        frames=preset.frames,
        height=preset.height,
        width=preset.width,
        steps=preset.steps if config.steps is None else config.steps,
        guidance=preset.guidance,
        negative_prompt=preset.negative_prompt,
        shift=stage.shift,
        text_length=stage.network.text_length,
        max_travel=config.max_travel,
        sky_confidence=preset.sky_confidence if VGGT_FOLDER in CODECS[stage.codec].networks else 0.0,
        scene_cameras=preset.scene_cameras,
        codec=stage.codec,
        few_steps=few,
        conditioning=stage.conditioning,
    )
    save_networks(networks, settings, config.out, torch.float16 if config.half else None)
    return config.out


def _trained_on(runs: tuple[Path, ...]) -> dict[str, Any]:
    """What the run of the transformer says of its latents: sha256 of networks by kind, and the codec; or nothing."""
    run = next((folder for folder in map(folder_of, runs) if TRANSFORMER in open_parts(folder)), None)
    if run is None:
        return {}
    file = next((path for path in (run / ENCODERS_FILE, run / RUN_EXPORT / ENCODERS_FILE) if path.is_file()), None)
    return {} if file is None else read_json_object(file)


def _check_encoders(runs: tuple[Path, ...], parts: Parts, tokenizer: Path) -> None:
    """Refuse encoders that are not those whose latents the transformer was trained on, where its run says which."""
    trained_on = _trained_on(runs)
    found = identities({kind: part for kind, part in parts.items() if kind in trained_on}, tokenizer)
    for kind, identity in found.items():
        if identity != trained_on[kind]:
            raise ValueError(
                f"the transformer was trained on latents of another {kind}: expected sha256 "
                f"{trained_on[kind][:16]}, got {identity[:16]}; name first what the clips were encoded with."
            )
