"""From a stage's inputs to what the loop is given: objective, batches, validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from gen3r.conditioning.condition import Conditioner
from gen3r.hub.folder import load_network
from gen3r.hub.load import ADAPTER, VAE, VGGT_FOLDER, load_vae
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.geometry import GeometryCodec
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vggt import VGGT, VGGTConfig
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import Preset
from gen3r.train.batches import Batches
from gen3r.train.latents import LatentCache, encode_clips
from gen3r.train.losses.adapter import AdapterLossConfig
from gen3r.train.objectives.adapter import AdapterObjective, ClipBatches
from gen3r.train.objectives.base import Objective
from gen3r.train.objectives.diffusion import DiffusionObjective, LatentBatches
from gen3r.train.objectives.vae import VAEObjective, VideoCrops, start_linear_path
from gen3r.train.objectives.vggt import VGGTObjective, ViewBatches
from gen3r.train.sources import ClipSource
from gen3r.train.tokenizer import small_text_encoder


@dataclass(frozen=True, kw_only=True)
class StageInputs:
    """What a stage is built from."""

    preset: Preset
    """Sizes and schedules."""
    loop: LoopConfig
    """The stage's schedule after overrides."""
    clips: ClipSource
    """Training clips."""
    validation: ClipSource | None
    """Clips never trained on."""
    networks: dict[str, Path]
    """Folders of the networks of earlier stages, by their name in a model folder."""
    out: Path
    """Folder of the run."""
    fresh: bool
    """Whether the run starts anew, so that closed-form starts are worth computing."""
    report: Callable[[int, int], None]
    """Told about the clips encoded so far, and of how many."""


@dataclass(frozen=True)
class StageParts:
    """What the loop is given."""

    objective: Objective
    batches: Batches
    validation: Batches | None


def build_vae(inputs: StageInputs) -> StageParts:
    """Stage 0b; a fresh run fits the linear path first."""
    stage, loop, frames = inputs.preset.vae, inputs.loop, inputs.preset.frames
    vae = LinearShortcutVAE(stage.network)
    if inputs.fresh:
        start_linear_path(vae, inputs.clips, clips=stage.fit_clips, seed=loop.seed)
    batches = VideoCrops(inputs.clips, batch_size=loop.batch_size, crop=stage.crop, frames=frames, seed=loop.seed)
    validation = None
    if inputs.validation is not None:
        validation = VideoCrops(inputs.validation, batch_size=4, crop=None, frames=frames, seed=1, augmented=False)
    return StageParts(VAEObjective(vae, stage.loss), batches, validation)


def build_vggt(inputs: StageInputs) -> StageParts:
    """Stage 0a."""
    stage, loop, frames = inputs.preset.vggt, inputs.loop, inputs.preset.frames
    batches = ViewBatches(inputs.clips, images=loop.batch_size, steps=loop.steps, frames=frames, seed=loop.seed)
    validation = None
    if inputs.validation is not None:
        validation = ViewBatches(inputs.validation, images=4 * frames, steps=1, frames=frames, seed=1, augmented=False)
    return StageParts(VGGTObjective(VGGT(stage.network), stage.loss), batches, validation)


def build_adapter(inputs: StageInputs) -> StageParts:
    """Stage 1, on the VGGT and the VAE of earlier runs."""
    stage, loop = inputs.preset.adapter, inputs.loop
    objective = AdapterObjective(
        GeometryAdapter(stage.network),
        _load_vggt(inputs),
        _load_appearance(inputs),
        AdapterLossConfig(),
        stage.kl_average,
        stage.dense_frames,
    )
    batches = ClipBatches(inputs.clips, batch_size=loop.batch_size, seed=loop.seed)
    validation = None
    if inputs.validation is not None:
        validation = ClipBatches(inputs.validation, batch_size=4, seed=1, augmented=False)
    return StageParts(objective, batches, validation)


def build_diffusion(inputs: StageInputs) -> StageParts:
    """Stage 2; encodes the clips to ``latents.safetensors`` in the run's folder unless it is there."""
    stage, loop, frames = inputs.preset.diffusion, inputs.loop, inputs.preset.frames
    device = "cuda" if torch.cuda.is_available() else "cpu"
    appearance = _load_appearance(inputs).eval().to(device)
    adapter = load_network(GeometryAdapter, AdapterConfig, _network(inputs, ADAPTER))
    geometry = GeometryCodec(_load_vggt(inputs), adapter).eval().to(device)
    conditioner = Conditioner(appearance, stage.conditioning, geometry=geometry)
    inputs.out.mkdir(parents=True, exist_ok=True)

    def cache(name: str, clips: ClipSource, mirrored: bool) -> LatentCache:
        path = inputs.out / f"{name}.safetensors"
        if not path.is_file():
            encode_clips(
                clips,
                conditioner,
                geometry,
                path,
                frames=frames,
                subsets=stage.subsets,
                mirrored=mirrored,
                seed=loop.seed,
                device=device,
                progress=inputs.report,
            )
        return LatentCache(path)

    training = cache("latents", inputs.clips, stage.mirrored)
    text = small_text_encoder(training.captions, stage.text)
    objective = DiffusionObjective(JointTransformer(stage.network), text, stage, (appearance, geometry))
    batches = LatentBatches(training, text, stage, batch_size=loop.batch_size, seed=loop.seed)
    validation = None
    if inputs.validation is not None:
        held = cache("latents-validation", inputs.validation, False)
        validation = LatentBatches(held, text, stage, batch_size=16, seed=1, validation=True)
    return StageParts(objective, batches, validation)


BUILDERS: dict[str, Callable[[StageInputs], StageParts]] = {
    "vggt": build_vggt,
    "vae": build_vae,
    "adapter": build_adapter,
    "diffusion": build_diffusion,
}
"""The stages by name."""


def _network(inputs: StageInputs, name: str) -> Path:
    if name not in inputs.networks:
        raise ValueError(
            f"this stage builds on a trained {name}, found none; train it first and name its run with --networks."
        )
    return inputs.networks[name]


def _load_vggt(inputs: StageInputs) -> VGGT:
    return load_network(VGGT, VGGTConfig, _network(inputs, VGGT_FOLDER))


def _load_appearance(inputs: StageInputs) -> AppearanceCodec:
    vae = load_vae(_network(inputs, VAE))
    return AppearanceCodec(vae, vae.config.latents_mean, vae.config.latents_std)
