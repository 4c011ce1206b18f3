"""``lora``: fine-tuning of ``full`` on one card of 24 GB, a few scenes at a time.

Only stage 2 changes: rank-32 updates of attention, the published transformer frozen in bfloat16 beneath.
"""

from __future__ import annotations

from dataclasses import replace

from gen3r.presets.full import diffusion as full_diffusion
from gen3r.presets.full import preset as full_preset
from gen3r.presets.stages import DiffusionStage, LoRAConfig, Preset


def preset() -> Preset:
    """``full`` with updates in place of stage 2."""
    pretrained = ("vggt", "vae", "adapter")
    return replace(full_preset(), name="lora", diffusion=diffusion(), lora_preset=None, pretrained=pretrained)


def diffusion() -> DiffusionStage:
    """30 M trained parameters; one clip at a time, eight per step."""
    stage = full_diffusion()
    loop = replace(
        stage.loop,
        steps=2000,
        batch_size=1,
        global_batch=8,
        lr=1e-4,
        eps=1e-8,
        weight_decay=0.0,
        first_grad_clip=None,
        grad_clip=1.0,
        checkpoint_every=100,
        validate_every=200,
    )
    return replace(stage, loop=loop, lora=LoRAConfig())
