"""Stage 3 from its inputs: the teacher is the flow that stage 2 has trained, on the same clips and conditions."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.conditioning.text import encode_ids
from gen3r.hub.load import TEXT_ENCODER, TRANSFORMER
from gen3r.models.transformer import JointTransformer
from gen3r.presets.stages import LoRAConfig
from gen3r.train.batches import Batches
from gen3r.train.diffusion_builder import build_diffusion
from gen3r.train.inputs import StageInputs, StageParts
from gen3r.train.latent_batches import LatentBatches
from gen3r.train.lora import add_lora
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.objectives.distill import DistillObjective


def build_distill(inputs: StageInputs) -> StageParts:
    """Stage 3.

    Raises:
        ValueError: without a trained transformer to start from, or for guidance where no text encoder is at hand.
    """
    stage = inputs.preset.distill
    if inputs.initial is None:
        raise ValueError("a student is taught by a trained transformer; name its model folder or run with --init.")
    flow = replace(inputs.preset.diffusion, lora=None, following=0.0, following_blocks=())
    parts = build_diffusion(replace(inputs, preset=replace(inputs.preset, diffusion=flow), fresh=True))
    teacher = cast(DiffusionObjective, parts.objective)
    student = cast(JointTransformer, deepcopy(teacher.networks[TRANSFORMER]))
    if stage.lora is not None:
        add_lora(student, LoRAConfig(rank=stage.lora, alpha=float(stage.lora), half=False))
    negative = None if stage.guidance == 1.0 else _empty_prompt(teacher, parts.batches)
    return replace(parts, objective=DistillObjective(student, teacher, stage, negative=negative))


@torch.no_grad()
def _empty_prompt(teacher: DiffusionObjective, batches: Batches) -> Float[Tensor, "one L Dt"]:
    """Features of the empty prompt, as batches without text have them."""
    if not isinstance(batches, LatentBatches):
        raise ValueError(
            "guidance is distilled on clips that are encoded before; encode them with gen3r data encode, or leave the "
            "guidance of the stage at 1."
        )
    told = batches.text([0], [None])
    if "text" in told:
        return told["text"].float()
    return encode_ids(teacher.networks[TEXT_ENCODER], told["ids"], told["ids_mask"]).float()
