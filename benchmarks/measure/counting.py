"""Floating-point operations counted by PyTorch on tensors without values: the code that runs, in no memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.grid import LatentGrid
from gen3r.latents.tokens import unpack_tokens
from gen3r.models.vggt import VGGT
from gen3r.train.losses.adapter import AdapterLossConfig
from gen3r.train.objectives.adapter import AdapterObjective
from gen3r.train.planning.tracing import count_flops as count
from gen3r.train.planning.tracing import shapes_alone
from measure.formulas import image_rows
from measure.networks import (
    Place,
    appearance_codec,
    make_adapter,
    make_image,
    make_text,
    make_transformer,
    make_vae,
    make_vggt,
)
from measure.sizes import Sizes

SHAPES = Place(device=torch.device("cpu"), dtype=torch.float32)
"""Where networks are made inside ``shapes_alone``."""


@dataclass(frozen=True, kw_only=True)
class GenerationFlops:
    """One scene from one view."""

    networks: Mapping[str, int]
    """Operations of each network over the run, by the names of ``measure.generation``; the transformer is left out."""
    transformer_once: int
    """What the transformer computes once per branch of guidance."""
    transformer_step: int
    """One forward pass of one branch."""


def generation_flops(sizes: Sizes, grid: LatentGrid, *, prompts: int, views_read: int) -> GenerationFlops:
    """Count every network of a run with a batch of one.

    Args:
        sizes: of the networks.
        grid: of the clip.
        prompts: prompts the text encoder reads: the positive and, under guidance, the negative one.
        views_read: views VGGT reads for the cameras' field of view and scale; 0 where the request has cameras.
    """
    once, step = transformer_flops(sizes, grid)
    with torch.no_grad(), shapes_alone():
        networks = {
            "text": prompts * _text_flops(sizes),
            "image": _image_flops(sizes),
            "vae_encode": _vae_encode_flops(sizes, grid),
            **_geometry_flops(sizes, grid, views_read),
            "vae_decode": _vae_decode_flops(sizes, grid),
        }
    return GenerationFlops(networks=networks, transformer_once=once, transformer_step=step)


def transformer_flops(sizes: Sizes, grid: LatentGrid) -> tuple[int, int]:
    """What the transformer computes once per branch of guidance, and one forward pass of one branch."""
    with torch.no_grad(), shapes_alone():
        made, inputs = make_transformer(sizes, SHAPES), transformer_inputs(sizes, grid)
        static = made.prepare(inputs["text"], inputs["camera"], inputs["image"])

        def forward() -> None:
            made(inputs["latents"], inputs["timestep"], inputs["control"], static=static)

        first, second = count(forward), count(forward)
    return first - second, second


def transformer_inputs(sizes: Sizes, grid: LatentGrid, batch: int = 1) -> dict[str, Tensor]:
    config = sizes.transformer
    shapes = {
        "latents": (batch, *grid.joint_shape),
        "timestep": (batch,),
        "control": (batch, config.control_channels, *grid.joint_shape[1:]),
        "text": (batch, config.text_length, config.text_dim),
        "camera": (batch, config.camera_channels, grid.latent_frames, grid.height, 2 * grid.width),
        "image": (batch, image_rows(sizes.image), config.image_dim),
    }
    return {name: torch.empty(shape) for name, shape in shapes.items()}


def _text_flops(sizes: Sizes) -> int:
    encoder = make_text(sizes, SHAPES).encoder
    ids = torch.zeros(1, sizes.transformer.text_length, dtype=torch.long)
    return count(lambda: encoder(input_ids=ids))  # the mask of the padding changes no count


def _image_flops(sizes: Sizes) -> int:
    vision, side = make_image(sizes, SHAPES).vision, sizes.image.image_size
    return count(lambda: vision(pixel_values=torch.empty(1, 3, side, side)))


def _codec(sizes: Sizes) -> AppearanceCodec:
    return appearance_codec(sizes, make_vae(sizes, SHAPES), SHAPES.device)


def _vae_encode_flops(sizes: Sizes, grid: LatentGrid) -> int:
    codec, video = _codec(sizes), torch.empty(1, grid.frames, 3, *grid.size)
    return count(lambda: codec.encode(video))


def _half(grid: LatentGrid) -> Tensor:
    return torch.empty(1, grid.joint_shape[0], grid.latent_frames, *grid.latent_size)


def _vae_decode_flops(sizes: Sizes, grid: LatentGrid) -> int:
    codec = _codec(sizes)
    return count(lambda: codec.decode(_half(grid)))


def _geometry_flops(sizes: Sizes, grid: LatentGrid, views_read: int) -> dict[str, int]:
    vggt, adapter = make_vggt(sizes, SHAPES), make_adapter(sizes, SHAPES)
    counted = {
        "adapter_decode": count(lambda: list(adapter.stream_decode(_half(grid), grid.token_grid))),
        **_heads(vggt, sizes, grid, grid.frames),
    }
    if views_read:
        views = torch.empty(1, views_read, 3, *grid.size)
        counted["vggt_aggregator"] = count(lambda: vggt.aggregate(views))
        for name, operations in _heads(vggt, sizes, grid, views_read).items():
            counted[name] += operations
    return counted


def _heads(vggt: VGGT, sizes: Sizes, grid: LatentGrid, frames: int) -> dict[str, int]:
    volume = torch.empty(1, sizes.adapter.token_channels, frames, *grid.token_grid)
    layers = unpack_tokens(volume, sizes.vggt.special_tokens)
    return {
        "depth_head": count(lambda: vggt.depth_head(layers, grid.size)),
        "point_head": count(lambda: vggt.point_head(layers, grid.size)),
        "camera_head": count(lambda: vggt.camera_head(layers[-1])),
    }


# training steps ---------------------------------------------------------------------------------------------------


def diffusion_step_flops(sizes: Sizes, grid: LatentGrid, batch: int, checkpointing: bool) -> dict[str, int]:
    """Forward and backward pass of the transformer with everything in it trained, but for its inputs."""

    def step(recompute: bool) -> int:
        with shapes_alone():
            made, inputs = make_transformer(sizes, SHAPES).requires_grad_(True), transformer_inputs(sizes, grid, batch)
            if recompute:
                made.enable_gradient_checkpointing()
            return count(lambda: made(**inputs).sum().backward())

    model = step(False)
    return {"model": model, "hardware": step(True) if checkpointing else model}


def adapter_step_flops(sizes: Sizes, grid: LatentGrid, batch: int, checkpointing: bool) -> dict[str, int]:
    """What ``AdapterObjective`` computes: VGGT and VAE of the clip, the adapter there and back, the heads twice."""

    def step(recompute: bool) -> int:
        with shapes_alone():
            adapter = make_adapter(sizes, SHAPES).requires_grad_(True)
            adapter.set_gradient_checkpointing(recompute)
            weights = AdapterLossConfig()
            objective = AdapterObjective(adapter, make_vggt(sizes, SHAPES), _codec(sizes), weights, kl_average=None)
            images, frames = torch.empty(batch, grid.frames, 3, *grid.size), range(grid.frames)
            return count(lambda: objective.losses(images, None, frames, kl_weight=1.0).total.backward())

    model = step(False)
    return {"model": model, "hardware": step(True) if checkpointing else model}
