"""From a stage's inputs to what the loop is given: objective, batches, validation."""

from __future__ import annotations

from collections.abc import Callable

from gen3r.hub.networks import ADAPTER, VAE, VGGT_FOLDER
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vggt import VGGT
from gen3r.train.decoders_builder import build_decoders
from gen3r.train.diffusion_builder import build_diffusion
from gen3r.train.distill_builder import build_distill
from gen3r.train.inputs import StageInputs, StageParts
from gen3r.train.losses.adapter import AdapterLossConfig
from gen3r.train.objectives.adapter import AdapterObjective, ClipBatches, start_from_tokens
from gen3r.train.objectives.vae import VAEObjective, VideoCrops, start_linear_path
from gen3r.train.objectives.vggt import VGGTObjective, ViewBatches
from gen3r.train.sources import ClipSource


def build_vae(inputs: StageInputs) -> StageParts:
    """Stage 0b; a fresh run fits the linear path first."""
    stage, loop, frames = inputs.preset.vae, inputs.loop, inputs.preset.frames
    vae = inputs.started(VAE, stage.network, LinearShortcutVAE)
    if inputs.fresh and inputs.initial is None:
        start_linear_path(vae, inputs.clips, clips=stage.fit_clips, seed=loop.seed)
    batches = VideoCrops(inputs.clips, batch_size=loop.batch_size, crop=stage.crop, frames=frames, seed=loop.seed)
    validation = None
    if inputs.validation is not None:
        validation = VideoCrops(inputs.validation, batch_size=4, crop=None, frames=frames, seed=1, augmented=False)
    return StageParts(VAEObjective(vae, stage.loss), batches, validation)


def build_vggt(inputs: StageInputs) -> StageParts:
    """Stage 0a."""
    stage, loop, frames = inputs.preset.vggt, inputs.loop, inputs.preset.frames
    source = _with_depth(inputs.clips)
    batches = ViewBatches(
        source,
        images=loop.batch_size,
        steps=loop.steps,
        frames=frames,
        seed=loop.seed,
        pairs=stage.pairs,
        noise=stage.condition_noise,
    )
    validation = None
    if inputs.validation is not None:
        held = _with_depth(inputs.validation)
        validation = ViewBatches(held, images=4 * frames, steps=1, frames=frames, seed=1, augmented=False)
    return StageParts(
        VGGTObjective(inputs.started(VGGT_FOLDER, stage.network, VGGT), stage.loss, stage.dense_share),
        batches,
        validation,
    )


def build_adapter(inputs: StageInputs) -> StageParts:
    """Stage 1, on a VGGT and a VAE that are ready."""
    stage, loop = inputs.preset.adapter, inputs.loop
    adapter, vggt = inputs.started(ADAPTER, stage.network, GeometryAdapter), inputs.vggt()
    if inputs.fresh and inputs.initial is None:
        start_from_tokens(adapter, vggt, inputs.clips, clips=stage.statistics_clips, seed=loop.seed)
    objective = AdapterObjective(
        adapter,
        vggt,
        inputs.appearance(),
        AdapterLossConfig(),
        stage.kl_average,
        stage.dense_frames,
        stage.alignment,
    )
    batches = ClipBatches(
        inputs.clips,
        batch_size=loop.batch_size,
        seed=loop.seed,
        augmented=stage.augmented,
        curriculum=stage.curriculum,
        steps=loop.steps,
    )
    held, validation = inputs.validation, None
    if held is not None:
        if not held.has_depth:
            inputs.tell("validation clips have no depth: depth errors are left out of the metrics")
        validation = ClipBatches(held, batch_size=min(4, len(held)), seed=1, augmented=False)
    return StageParts(objective, batches, validation)


BUILDERS: dict[str, Callable[[StageInputs], StageParts]] = {
    "vggt": build_vggt,
    "vae": build_vae,
    "adapter": build_adapter,
    "diffusion": build_diffusion,
    "distill": build_distill,
    "decoders": build_decoders,
}
"""The stages by name."""


def _with_depth(source: ClipSource) -> ClipSource:
    if not source.has_depth:
        raise ValueError("VGGT is trained on true depth, but some of these clips have none; leave out their datasets.")
    return source
