"""``full``: the networks of Gen3R at their published size. 49 frames of 560x560: 31,850 tokens.

Stages 1 and 2 are trained; VGGT, the Wan VAE, and the text and image encoders are taken as published. Schedules are
those of the official scripts, for the batch of their cluster where the text says so: see the fields.
"""

from __future__ import annotations

from gen3r.conditioning.condition import ConditioningConfig, DropRates
from gen3r.conditioning.views import ViewSampler
from gen3r.models.adapter.config import AdapterConfig
from gen3r.models.transformer.config import TransformerConfig
from gen3r.models.vae.config import VAEConfig
from gen3r.models.vggt.config import VGGTConfig
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import AdapterStage, DiffusionStage, NoiseConfig, Preset, VAEStage, VGGTStage

SCENES = 300_000
"""Scenes that Gen3R was trained on, by its paper."""
ADAPTER_EPOCHS, DIFFUSION_EPOCHS = 10, 7
ADAPTER_BATCH, DIFFUSION_BATCH = 64, 192
"""Samples per step: one on each of eight GPUs, eight times (their number is not published); 4 on each of 24, twice."""
SHORT_FRAMES = 25
"""Frames per clip in the first half of stage 1 (when to change is not published)."""
NOISE = NoiseConfig(table=True, stratified=True, bfloat16=False)
"""Levels of the official table, each sample of a step in its own part of them. The official code also mixes by a level
that is rounded to bfloat16 while the transformer is told the exact one (``bfloat16=True``): a slip, not copied."""
UNTRAINED = LoopConfig(steps=1, batch_size=1)


def preset() -> Preset:
    """All networks of ``full``; stages 1 and 2 can be trained."""
    return Preset(
        name="full",
        frames=49,
        height=560,
        width=560,
        vggt=VGGTStage(network=VGGTConfig(), loop=UNTRAINED),
        vae=VAEStage(network=VAEConfig(), loop=UNTRAINED, crop=None, fit_clips=0),
        adapter=adapter(),
        diffusion=diffusion(),
        clips=1000,
        lora_preset="lora",
        pretrained=("vggt", "vae"),
        steps=50,
        guidance=5.0,
        negative_prompt="bad detailed",
    )


def adapter() -> AdapterStage:
    """318 M parameters, clips of 25 frames and then of 49."""
    loop = LoopConfig(
        steps=ADAPTER_EPOCHS * SCENES // ADAPTER_BATCH,
        batch_size=1,
        global_batch=ADAPTER_BATCH,
        prefetch=4,
        recompute=True,
        lr=1e-5,
        betas=(0.9, 0.999),
        weight_decay=1e-4,
        decay_all=True,
        warmup=0,
        final_lr=0.2,
        grad_clip=0.5,
        ema_decay=0.0,
        precision="bf16",
        seed=42,
        checkpoint_every=500,
        keep_checkpoints=3,
        sample_every=1000,
        validate_every=1000,
    )
    return AdapterStage(
        network=AdapterConfig(),
        loop=loop,
        kl_average=None,
        curriculum=((0.0, SHORT_FRAMES), (0.5, 49)),
        augmented=False,
    )


def diffusion() -> DiffusionStage:
    """1.62 G parameters of transformer on features of a text and an image encoder that stay as they are."""
    loop = LoopConfig(
        steps=DIFFUSION_EPOCHS * SCENES // DIFFUSION_BATCH,
        batch_size=1,
        global_batch=DIFFUSION_BATCH,
        prefetch=4,
        recompute=True,
        lr=1e-5,
        betas=(0.9, 0.999),
        eps=1e-10,
        weight_decay=3e-2,
        warmup=50,
        final_lr=0.0,
        first_grad_clip=0.5,
        grad_clip=0.25,
        ema_decay=0.0,
        precision="bf16",
        seed=42,
        checkpoint_every=50,
        sample_every=0,
        validate_every=500,
    )
    return DiffusionStage(
        network=TransformerConfig(),
        text=None,
        loop=loop,
        conditioning=ConditioningConfig(image_pixels="untruncated", normalize_scale=False),
        views=ViewSampler(),
        drops=DropRates(text=0.2, camera=0.5),
        mirrored=False,
        shift=2.0,
        noise=NOISE,
        outlier=50.0,
    )
