"""Stage 4 from its inputs: the flow that stage 2 has trained, its clips as latents, and what these clips show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch

from gen3r.hub.networks import ADAPTER
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.latents.codecs.registry import CODECS
from gen3r.presets.condition_noise import CLEAN
from gen3r.train import augment
from gen3r.train.batches import Batches
from gen3r.train.diffusion_builder import build_diffusion
from gen3r.train.encoded import EncodedClips
from gen3r.train.inputs import StageInputs, StageParts
from gen3r.train.latent_batches import LatentBatches
from gen3r.train.latents import LatentCache
from gen3r.train.objectives.base import Batch
from gen3r.train.objectives.decoders import TRUE, DecodersObjective
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.objectives.vggt import view_batch
from gen3r.train.sources import ClipSource


def build_decoders(inputs: StageInputs) -> StageParts:
    """Stage 4.

    Raises:
        ValueError: without a trained transformer, for codecs without an adapter, and for clips that are encoded already
            or have no depth.
    """
    preset = inputs.preset
    if inputs.initial is None:
        raise ValueError("decoders learn from what a trained transformer makes; name its model or run with --init.")
    if ADAPTER not in CODECS[preset.diffusion.codec].networks:
        raise ValueError(f"the codec {preset.diffusion.codec} has no geometry adapter whose decoder could be trained.")
    if isinstance(inputs.data, EncodedClips) or preset.diffusion.text is None:
        raise ValueError(
            "decoders are held against what clips really show: give them clips that are not encoded yet, and a preset "
            "that encodes its clips before the first step (tiny, small)."
        )
    for source in (inputs.clips, inputs.validation):
        if source is not None and not source.has_depth:
            raise ValueError("decoders are held against true depth, but some of these clips have none.")
    flow = replace(preset.diffusion, lora=None, following=0.0, following_blocks=(), condition_noise=CLEAN)
    parts = build_diffusion(replace(inputs, preset=replace(preset, diffusion=flow), fresh=True))
    appearance = inputs.appearance()
    objective = DecodersObjective(
        appearance,
        cast(VGGTAdapterCodec, inputs.geometry(appearance)),
        cast(DiffusionObjective, parts.objective),
        preset.decoders,
        preset.vae.loss,
        preset.vggt.loss,
    )
    validation = None
    if inputs.validation is not None:
        validation = ShownLatents(cast(LatentBatches, parts.validation), inputs.validation, preset.frames)
    return StageParts(
        objective, ShownLatents(cast(LatentBatches, parts.batches), inputs.clips, preset.frames), validation
    )


class ShownLatents(Batches):
    """Batches of latents with what their clips show: entries of ``view_batch``, named with ``TRUE`` in front.

    Args:
        latents: of clips in memory.
        clips: the same clips.
        frames: frames that were encoded of each.
    """

    def __init__(self, latents: LatentBatches, clips: ClipSource, frames: int) -> None:
        super().__init__(latents.order, latents.batch_size, latents.seed)
        self.latents, self.clips, self.frames = latents, clips, frames
        store = cast(LatentCache, latents.store)
        numbers = store.clips
        if numbers is None:
            raise ValueError("these latents do not say of which clips they are; remove them and encode the clips anew.")
        first = {clip: item for item, clip in reversed(list(enumerate(numbers)))}
        self.shown = [(clip, first[clip] != item) for item, clip in enumerate(numbers)]
        """Of every item its clip, and whether it is the second one of it."""

    def make(self, items: Sequence[int], rng: torch.Generator) -> Batch:
        """These items, the second one of a clip mirrored as it was encoded."""
        versions = []
        for clip, mirrored in (self.shown[item] for item in items):
            one = augment.select_frames(self.clips.get([clip]), torch.arange(self.frames))
            versions.append(view_batch(augment.mirror(one) if mirrored else one, None))
        true = {f"{TRUE}{name}": torch.cat([each[name] for each in versions]) for name in versions[0]}
        return self.latents.make(items, rng) | true
