"""``small``: trains in under an hour on one GPU. 17 frames of 224x224 pixels: 16x16 tokens, 28x28 latent cells."""

from __future__ import annotations

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.models.adapter.config import AdapterConfig
from gen3r.models.transformer.config import TransformerConfig
from gen3r.models.vae.config import VAEConfig
from gen3r.models.vggt.config import VGGTConfig
from gen3r.presets.distill import DistillStage
from gen3r.presets.loop import LoopConfig
from gen3r.presets.recipe import Floor, Leg, Recipe
from gen3r.presets.stages import AdapterStage, DiffusionStage, Preset, TextConfig, VAEStage, VGGTLossConfig, VGGTStage
from gen3r.presets.tiny import IDENTITY_POSE, LINEAR_LR, UNIT_MEAN, UNIT_STD


def preset() -> Preset:
    """All stages of ``small``."""
    return Preset(
        name="small",
        frames=17,
        height=224,
        width=224,
        vggt=vggt(),
        vae=vae(),
        adapter=adapter(),
        diffusion=diffusion(),
        distill=distill(),
        clips=12_000,
        sky_confidence=1.00003,
        recipe=recipe(),
    )


def recipe() -> Recipe:
    """Planned for 25 minutes of one H100, in sittings of eight or nine; not measured.

    Geometry and generation see quarter-size pictures first, where a step costs about a quarter. Legs that read
    pictures of one size follow each other, as clips are rendered anew for each. Each two legs make a third of the time:
    latents are large, and a machine that goes on with diffusion encodes its clips once more. Only blocks that always
    see one shape are compiled.
    """
    common = {"fused": True, "read_every": 20, "streams": "batches", "log_every": 20, "skip_nonfinite": 20}
    few = {"warmup": 100, "ema_decay": 0.99}
    encoding = {"mirrored": False, "subsets": 2}
    return Recipe(
        minutes=25.0,
        device="one H100",
        clips=6000,
        legs=(
            Leg(
                name="vggt-112",
                stage="vggt",
                side=112,
                share=0.19,
                loop=common | {"batch_size": 384, "lr": 5e-4, "log_every": 100},
            ),
            Leg(
                name="vae",
                stage="vae",
                share=0.14,
                loop=common | few | {"batch_size": 48},
                settings={"fit_clips": 64},
                floor=Floor(metric="psnr", value=31.0, above=True),
            ),
            Leg(
                name="vggt-224",
                stage="vggt",
                side=224,
                share=0.15,
                loop=common | few | {"lr": 1.5e-4},
                settings={"pairs": 0.0},
            ),
            Leg(
                name="adapter",
                stage="adapter",
                share=0.18,
                loop=common | few | {"ema_decay": 0.995, "lr": 4e-4},
                settings={"dense_frames": 4},
            ),
            Leg(
                name="diffusion-112",
                stage="diffusion",
                side=112,
                share=0.19,
                loop=common | {"batch_size": 256, "ema_decay": 0.997, "warmup": 200, "compile": True},
                settings=encoding,
            ),
            Leg(
                name="diffusion-224",
                stage="diffusion",
                share=0.14,
                loop=common | few | {"batch_size": 128, "lr": 2e-4, "compile": True},
                settings=encoding,
            ),
            Leg(
                name="distill",
                stage="distill",
                share=0.06,
                loop=common | few | {"batch_size": 16, "precision": "bf16", "threads": None},
                optional=True,
            ),
            Leg(
                name="decoders",
                stage="decoders",
                share=0.06,
                loop=common | few | {"batch_size": 16, "precision": "bf16", "threads": None},
                optional=True,
            ),
        ),
    )


def vggt() -> VGGTStage:
    """About 5 M parameters; four layers and the camera make 1600 token channels."""
    network = VGGTConfig(
        image_size=224,
        patch_embed="conv",
        embed_dim=160,
        depth=5,
        heads=5,
        layer_scale=0.2,
        kept_layers=(1, 2, 3, 4),
        camera_depth=1,
        camera_heads=5,
        initial_pose=IDENTITY_POSE,
        dense_features=48,
        dense_channels=(48, 48, 96, 96),
        dense_hidden=16,
        head_downsample=2,
    )
    loop = LoopConfig(steps=15_000, batch_size=256, lr=4e-4, warmup=300, precision="bf16", checkpoint_every=500)
    return VGGTStage(network=network, loop=loop, loss=VGGTLossConfig(camera=40.0), pairs=0.6, dense_share=0.25)


def vae() -> VAEStage:
    """About 2.7 M parameters."""
    network = VAEConfig(
        base_dim=32,
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
        steps=9000, batch_size=64, lr=8e-4, lr_factors=LINEAR_LR, warmup=300, precision="bf16", checkpoint_every=500
    )
    return VAEStage(network=network, loop=loop, crop=128)


def adapter() -> AdapterStage:
    """About 3.5 M parameters."""
    network = AdapterConfig(
        hidden=24,
        token_channels=1600,
        resample_scale=16,
        res_blocks=1,
        io_kernel=1,
        token_statistics=(16, 16),
        linear=True,
        latents_mean=UNIT_MEAN,
        latents_std=UNIT_STD,
    )
    loop = LoopConfig(steps=8000, batch_size=16, lr=3e-4, warmup=200, precision="bf16", checkpoint_every=500)
    return AdapterStage(network=network, loop=loop)


def diffusion() -> DiffusionStage:
    """14 M parameters of transformer."""
    text = TextConfig(width=192, heads=6, ffn=384)
    network = TransformerConfig(
        num_attention_heads=5,
        attention_head_dim=64,
        num_layers=8,
        ffn_dim=1280,
        text_dim=text.width,
        text_length=text.length,
        image_dim=None,
        camera_downsample_first=True,
        camera_residual_kernel=1,
    )
    loop = LoopConfig(steps=12_000, batch_size=256, lr=5e-4, warmup=300, precision="bf16", checkpoint_every=500)
    return DiffusionStage(
        network=network,
        text=text,
        loop=loop,
        conditioning=ConditioningConfig(rays_at_latent_size=True),
        shift=3.0,
        following=0.05,
        following_blocks=(2, 3, 4, 5),
    )


def distill() -> DistillStage:
    """A student of four steps. Not measured."""
    loop = LoopConfig(steps=2000, batch_size=32, lr=1e-4, warmup=100, precision="bf16", ema_decay=0.995, sample_every=0)
    return DistillStage(loop=loop)
