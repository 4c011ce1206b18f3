"""Denoised joint latents to scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.cameras.pose_encoding import decode_pose
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import GeometryCodec
from gen3r.latents.grid import LatentGrid
from gen3r.models.vggt import VGGTOutput
from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.surfaces import surfaces
from gen3r.scene.scene import Scene

FOV_RANGE = (0.05, 3.0)
"""Radians. VGGT's fields of view end in a ReLU: a lost head says 0, or more than half a turn: no focal length."""


@torch.no_grad()
def decode_frames(latents: Float[Tensor, "B C f h w"], appearance: AppearanceCodec) -> UInt8[Tensor, "B F H W 3"]:
    """RGB frames of normalised appearance latents, on the CPU. The device holds one group of frames at a time."""
    return torch.cat([eight_bit(frames).cpu() for frames in appearance.stream_decode(latents)], dim=1)


@torch.no_grad()
def decode_geometry(
    latents: Float[Tensor, "B C f h w"] | None,
    frames: UInt8[Tensor, "B F H W 3"],
    grid: LatentGrid,
    geometry: GeometryCodec,
    head_frames: int = 8,
) -> VGGTOutput:
    """Depth, points and cameras of normalised geometry latents, on the CPU.

    Args:
        latents: None for codecs of one half, which read the frames instead.
        frames: what ``decode_frames`` gave.
        grid: sizes of the clip.
        geometry: the codec.
        head_frames: frames per call of a head of VGGT.
    """
    images = from_eight_bit(frames) if geometry.halves == 1 else None
    return geometry.decode(latents, grid.token_grid, grid.size, head_frames, torch.device("cpu"), images)


def eight_bit(frames: Float[Tensor, "B F 3 H W"]) -> UInt8[Tensor, "B F H W 3"]:
    """Frames in [0, 1] to RGB in 0..255."""
    return (frames.permute(0, 1, 3, 4, 2).float() * 255).round().clamp(0, 255).to(torch.uint8)


def from_eight_bit(frames: UInt8[Tensor, "B F H W 3"]) -> Float[Tensor, "B F 3 H W"]:
    """RGB in 0..255 to [0, 1]."""
    return frames.permute(0, 1, 4, 2, 3).float() / 255


def scenes_from_output(
    rgb: UInt8[Tensor, "B F H W 3"],
    output: VGGTOutput,
    *,
    scales: Sequence[float],
    config: PipelineConfig,
    provenance: Sequence[Mapping[str, Any]],
    rebase: bool = True,
) -> list[Scene]:
    """One scene per batch item; the world is the first camera.

    Args:
        rgb: frames in 0..255.
        output: VGGT's predictions.
        scales: multiplies the lengths of each scene (see ``CameraPath.scale``).
        config: of the model; says what counts as sky.
        provenance: JSON-able record of each scene.
        rebase: whether the first camera is made the world exactly, see ``predicted_cameras``.
    """
    scenes = []
    for index, scale in enumerate(scales):
        depth = output.depth[index].float()
        points = output.points[index].float()
        confidence = output.depth_confidence[index].float().nan_to_num(0.0, posinf=0.0)
        scenes.append(
            Scene(
                rgb=rgb[index],
                depth=depth.nan_to_num(0.0, posinf=0.0) * scale,
                confidence=confidence,
                points=points.nan_to_num(0.0, posinf=0.0, neginf=0.0) * scale,
                mask=surfaces(depth, confidence, config) & torch.isfinite(points).all(dim=-1),
                cameras=predicted_cameras(output.pose_encoding[index], *rgb.shape[2:4], rebase=rebase).scaled(scale),
                provenance=dict(provenance[index]),
            )
        )
    return scenes


def predicted_cameras(encoding: Float[Tensor, "F 9"], height: int, width: int, *, rebase: bool = True) -> Cameras:
    """Cameras of VGGT's pose encodings; the head puts the first one close to the world, ``rebase`` exactly there."""
    encoding = encoding.detach().float().cpu()
    encoding = torch.cat([encoding[:, :7], encoding[:, 7:].clamp(*FOV_RANGE)], dim=-1)
    cameras = decode_pose(encoding, height, width)
    return cameras.rebased() if rebase else cameras
