"""``tiny``: trains in hours on two CPU cores. 9 frames of 112x112 pixels."""

from __future__ import annotations

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.models.adapter.config import AdapterConfig
from gen3r.models.transformer.config import TransformerConfig
from gen3r.models.vae.config import VAEConfig
from gen3r.models.vggt.config import VGGTConfig
from gen3r.presets.loop import LoopConfig
from gen3r.presets.recipe import Floor, Leg, Recipe
from gen3r.presets.stages import AdapterStage, DiffusionStage, Preset, TextConfig, VAEStage, VGGTLossConfig, VGGTStage

UNIT_MEAN, UNIT_STD = (0.0,) * 16, (1.0,) * 16
"""Before training: statistics are measured at the end of a stage and stored in the exported config."""

IDENTITY_POSE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
"""No translation, no rotation, fields of view of one radian."""

LINEAR_LR = (("vae.linear.", 0.03),)
"""The linear path starts near its optimum and its encoder reads up to 3840 values."""


def preset() -> Preset:
    """All stages of ``tiny``."""
    return Preset(
        name="tiny",
        frames=9,
        height=112,
        width=112,
        vggt=vggt(),
        vae=vae(),
        adapter=adapter(),
        diffusion=diffusion(),
        clips=4800,
        steps=3,
        scene_cameras="requested",
        sky_confidence=1.00003,
        recipe=recipe(),
    )


def recipe() -> Recipe:
    """Five and a half hours on two CPU cores, as the shipped weights took; rendering comes on top."""
    loop = {"threads": 2}
    return Recipe(
        minutes=340.0,
        device="two CPU cores",
        clips=4800,
        legs=(
            Leg(name="vae", stage="vae", share=0.17, loop=loop, floor=Floor(metric="psnr", value=30.0, above=True)),
            Leg(name="vggt-pairs", stage="vggt", share=0.23, loop=loop),
            Leg(
                name="vggt",
                stage="vggt",
                share=0.2,
                loop=loop | {"lr": 6e-4, "warmup": 30},
                settings={"pairs": 0.0, "dense_share": 0.4},
            ),
            Leg(name="adapter", stage="adapter", share=0.06, loop=loop),
            Leg(name="diffusion", stage="diffusion", share=0.27, loop=loop),
            Leg(name="distill", stage="distill", share=0.04, loop=loop, optional=True),
            Leg(name="decoders", stage="decoders", share=0.08, loop=loop, optional=True),
        ),
    )


def vggt() -> VGGTStage:
    """3.3 M parameters."""
    network = VGGTConfig(
        image_size=112,
        patch_embed="conv",
        embed_dim=128,
        depth=4,
        heads=4,
        layer_scale=0.2,
        kept_layers=(0, 1, 2, 3),
        camera_depth=1,
        camera_heads=4,
        camera_iterations=3,
        initial_pose=IDENTITY_POSE,
        dense_features=32,
        dense_channels=(32, 32, 64, 64),
        dense_hidden=16,
        head_downsample=2,
    )
    loop = LoopConfig(
        steps=7000,
        batch_size=64,
        lr=1e-3,
        warmup=100,
        precision="bf16",
        threads=1,
        checkpoint_every=200,
        validate_every=200,
        sample_every=400,
    )
    return VGGTStage(network=network, loop=loop, loss=VGGTLossConfig(camera=40.0), pairs=0.6, dense_share=0.25)


def vae() -> VAEStage:
    """1.0 M parameters, a third of them in the linear path."""
    network = VAEConfig(
        base_dim=16,
        dim_mult=(1, 2, 2),
        num_res_blocks=1,
        temporal_downsample=(True, True),
        is_residual=True,
        patch_size=2,
        linear=True,
        latents_mean=UNIT_MEAN,
        latents_std=UNIT_STD,
    )
    loop = LoopConfig(
        steps=5000,
        batch_size=4,
        lr=1e-3,
        lr_factors=LINEAR_LR,
        warmup=100,
        precision="bf16",
        threads=1,
        checkpoint_every=250,
        validate_every=250,
        sample_every=500,
    )
    return VAEStage(network=network, loop=loop)


def adapter() -> AdapterStage:
    """A geometry adapter for the 1280 token channels of ``vggt``."""
    network = AdapterConfig(
        hidden=16,
        token_channels=1280,
        resample_scale=10,
        res_blocks=1,
        io_kernel=1,
        token_statistics=(8, 8),
        linear=True,
        latents_mean=UNIT_MEAN,
        latents_std=UNIT_STD,
    )
    loop = LoopConfig(
        steps=1000,
        batch_size=4,
        lr=1e-3,
        warmup=100,
        precision="bf16",
        threads=1,
        checkpoint_every=200,
        validate_every=200,
        sample_every=400,
    )
    return AdapterStage(network=network, loop=loop, dense_frames=2, statistics_clips=128)


def diffusion() -> DiffusionStage:
    """7.4 M parameters of transformer, 0.5 M of text encoder.

    Wide rather than deep: a token carries the content of several neighbours while it is moved.
    """
    text = TextConfig()
    network = TransformerConfig(
        num_attention_heads=5,
        attention_head_dim=64,
        num_layers=5,
        ffn_dim=640,
        text_dim=text.width,
        text_length=text.length,
        image_dim=None,
        camera_downsample_first=True,
        camera_residual_kernel=1,
    )
    loop = LoopConfig(
        steps=6000,
        batch_size=8,
        lr=6e-4,
        warmup=200,
        precision="bf16",
        threads=1,
        checkpoint_every=250,
        validate_every=250,
        sample_every=500,
    )
    return DiffusionStage(
        network=network,
        text=text,
        loop=loop,
        conditioning=ConditioningConfig(rays_at_latent_size=True),
        subsets=1,
        mirrored=False,
        following=0.05,
        following_blocks=(1, 2, 3),
    )
