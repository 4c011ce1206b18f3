"""The micro-step of each stage, made from a preset alone: its networks, and a loss on noise.

What is left out takes no noticeable time or memory: drawing noise, weighing losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gen3r.hub.networks import VAE, VGGT_FOLDER
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs.registry import CODECS
from gen3r.latents.grid import LatentGrid
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vggt import VGGT
from gen3r.presets.stages import DiffusionStage, Preset
from gen3r.train.lora import add_lora
from gen3r.train.losses.adapter import AdapterLossConfig
from gen3r.train.objectives.adapter import AdapterObjective
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.objectives.noise import TIMESTEPS, NoiseLevels
from gen3r.train.tokenizer import small_text_encoder

IMAGE_ROWS = 257
"""Rows of image features: class token and 16x16 patches of CLIP ViT-H/14."""


@dataclass(frozen=True, kw_only=True)
class MicroStep:
    """One forward pass that a backward pass follows."""

    networks: nn.ModuleDict
    """In training."""
    frozen: nn.ModuleList
    """At work, but not in training."""
    lose: Callable[[], Tensor]
    """The loss of one micro-batch."""
    frozen_dtype: torch.dtype = torch.float32
    """Of parameters that are not in training."""


@dataclass(frozen=True)
class Clips:
    """A micro-batch of clips."""

    count: int
    """Clips."""
    frames: int
    """Of each."""


def vae_step(preset: Preset, clips: Clips) -> MicroStep:
    """Stage 0b: encode and decode a crop."""
    vae, crop = LinearShortcutVAE(preset.vae.network), preset.vae.crop
    size = (crop, crop) if crop is not None else (preset.height, preset.width)

    def lose() -> Tensor:
        video = torch.rand(clips.count, 3, clips.frames, *size)
        return (vae.decode(vae.encode(video).mean).float() - video).abs().mean()

    return MicroStep(networks=nn.ModuleDict({VAE: vae}), frozen=nn.ModuleList(), lose=lose)


def vggt_step(preset: Preset, clips: Clips) -> MicroStep:
    """Stage 0a: all heads on whole clips."""
    vggt = VGGT(preset.vggt.network)

    def lose() -> Tensor:
        output = vggt(torch.rand(clips.count, clips.frames, 3, preset.height, preset.width), frames_chunk=None)
        return _total([*output.pose_encodings, output.depth, output.points])

    return MicroStep(networks=nn.ModuleDict({VGGT_FOLDER: vggt}), frozen=nn.ModuleList(), lose=lose)


def adapter_step(preset: Preset, clips: Clips) -> MicroStep:
    """Stage 1, with all its losses; the KL has a weight that is given, as its own depends on values."""
    adapter, vggt = GeometryAdapter(preset.adapter.network), VGGT(preset.vggt.network)
    dense = preset.adapter.dense_frames
    objective = AdapterObjective(adapter, vggt, _appearance(preset), AdapterLossConfig(), None, dense)

    def lose() -> Tensor:
        images = torch.rand(clips.count, clips.frames, 3, preset.height, preset.width)
        return objective.losses(images, None, range(clips.frames)[:dense], kl_weight=1.0).total

    frozen = nn.ModuleList([objective.vggt, objective.appearance])
    return MicroStep(networks=objective.networks, frozen=frozen, lose=lose)


def diffusion_step(preset: Preset, clips: Clips) -> MicroStep:
    """Stage 2 on clips that are encoded."""
    stage, network = preset.diffusion, preset.diffusion.network
    halves = CODECS[stage.codec].halves
    grid = LatentGrid(clips.frames, preset.height, preset.width, halves=halves)
    text = None if stage.text is None else small_text_encoder(["a room"], stage.text)
    objective = DiffusionObjective(_transformer(stage), text, stage)
    rays = grid.latent_size if stage.conditioning.rays_at_latent_size else grid.size
    shapes: dict[str, tuple[int, ...]] = {
        "clean": grid.joint_shape,
        "control": (network.control_channels, *grid.joint_shape[1:]),
        "camera": (network.camera_channels, grid.latent_frames, rays[0], halves * rays[1]),
    }
    if text is None:
        shapes["text"] = (network.text_length, network.text_dim)
    if network.image_dim is not None:
        shapes["image"] = (IMAGE_ROWS, network.image_dim)

    def lose() -> Tensor:
        batch = {name: torch.rand(clips.count, *shape) for name, shape in shapes.items()}
        if text is not None:
            batch["ids"] = torch.zeros(clips.count, text.length, dtype=torch.long)
            batch["ids_mask"] = torch.ones_like(batch["ids"])
        sigma = torch.rand(clips.count)
        halves = objective.errors(batch, NoiseLevels(sigma, sigma * TIMESTEPS), torch.rand_like(batch["clean"]))
        return _total(list(halves))

    narrow = torch.bfloat16 if stage.lora is not None and stage.lora.half else torch.float32
    return MicroStep(networks=objective.networks, frozen=nn.ModuleList(), lose=lose, frozen_dtype=narrow)


STEPS: Mapping[str, Callable[[Preset, Clips], MicroStep]] = {
    "vggt": vggt_step,
    "vae": vae_step,
    "adapter": adapter_step,
    "diffusion": diffusion_step,
}
"""By stage."""


def _transformer(stage: DiffusionStage) -> JointTransformer:
    transformer = JointTransformer(stage.network)
    if stage.lora is not None:
        add_lora(transformer, stage.lora)
    return transformer


def _appearance(preset: Preset) -> AppearanceCodec:
    network = preset.vae.network
    return AppearanceCodec(LinearShortcutVAE(network), network.latents_mean, network.latents_std)


def _total(values: list[Tensor]) -> Tensor:
    return torch.stack([value.float().abs().mean() for value in values]).sum()
