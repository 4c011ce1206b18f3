"""``micro``: ``tiny`` with the smallest transformer that learns anything, for many runs of minutes on one CPU core.

VGGT and the VAE are those of ``tiny``, so that its shipped ones can be taken.
"""

from __future__ import annotations

from dataclasses import replace

from gen3r.models.transformer.config import TransformerConfig
from gen3r.presets import tiny
from gen3r.presets.stages import AdapterStage, DiffusionStage, Preset, TextConfig


def preset() -> Preset:
    """All stages of ``micro``."""
    return replace(
        tiny.preset(),
        name="micro",
        adapter=adapter(),
        diffusion=diffusion(),
        clips=800,
        steps=5,
        scene_cameras="predicted",
        sky_confidence=0.0,  # not every codec has such a confidence
        recipe=None,
    )


def adapter() -> AdapterStage:
    """That of ``tiny``, trained for a fifth as long on half the batch."""
    stage = tiny.adapter()
    loop = replace(stage.loop, steps=400, batch_size=2, lr=8e-4, warmup=40, ema_decay=0.99)
    return replace(stage, loop=loop, dense_frames=1, kl_average=0.95)


def diffusion() -> DiffusionStage:
    """0.8 M parameters of transformer, 0.1 M of text encoder."""
    stage, text = tiny.diffusion(), TextConfig(length=32, width=64, layers=1, heads=2, ffn=128)
    network = TransformerConfig(
        num_attention_heads=2,
        attention_head_dim=64,
        num_layers=3,
        ffn_dim=256,
        text_dim=text.width,
        text_length=text.length,
        image_dim=None,
        camera_downsample_first=True,
        camera_residual_kernel=1,
    )
    loop = replace(stage.loop, steps=1000, lr=1e-3, warmup=50, ema_decay=0.99)
    return replace(stage, network=network, text=text, loop=loop, following_blocks=(1,))
