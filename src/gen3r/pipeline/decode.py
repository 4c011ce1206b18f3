"""Denoised joint latents to scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.cameras.pose_encoding import decode_pose
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.geometry import GeometryCodec
from gen3r.latents.grid import LatentGrid
from gen3r.latents.joint import JointLatent
from gen3r.models.vggt import VGGTOutput
from gen3r.scene.scene import Scene

FOV_RANGE = (0.05, 3.0)
"""Radians. VGGT's fields of view end in a ReLU: a lost head says 0, or more than half a turn: no focal length."""


@torch.no_grad()
def decode_latents(
    joint: Float[Tensor, "B C f h W"], grid: LatentGrid, appearance: AppearanceCodec, geometry: GeometryCodec
) -> tuple[Float[Tensor, "B F 3 height width"], VGGTOutput]:
    """Frames in [0, 1] from the left half of normalised joint latents; depth, points and cameras from the right."""
    latent = JointLatent.from_tensor(joint)
    frames = appearance.decode(latent.appearance)
    return frames, geometry.decode(latent.geometry, grid.token_grid, grid.size)


def scenes_from_output(
    frames: Float[Tensor, "B F 3 H W"],
    output: VGGTOutput,
    *,
    scales: Sequence[float],
    far: float,
    provenance: Sequence[Mapping[str, Any]],
) -> list[Scene]:
    """One scene per batch item; the world is the first camera.

    Args:
        frames: in [0, 1].
        output: VGGT's predictions.
        scales: multiplies the lengths of each scene (see ``CameraPath.scale``).
        far: depth that counts as no surface, before scaling.
        provenance: JSON-able record of each scene.
    """
    rgb = (frames.permute(0, 1, 3, 4, 2).float() * 255).round().clamp(0, 255).to(torch.uint8)
    scenes = []
    for index, scale in enumerate(scales):
        depth = output.depth[index].float()
        points = output.points[index].float()
        mask = torch.isfinite(depth) & (depth > 0) & (depth < far) & torch.isfinite(points).all(dim=-1)
        scenes.append(
            Scene(
                rgb=rgb[index],
                depth=depth.nan_to_num(0.0, posinf=0.0) * scale,
                confidence=output.depth_confidence[index].float().nan_to_num(0.0, posinf=0.0),
                points=points.nan_to_num(0.0, posinf=0.0, neginf=0.0) * scale,
                mask=mask,
                cameras=predicted_cameras(output.pose_encoding[index], rgb.shape[2], rgb.shape[3]).scaled(scale),
                provenance=dict(provenance[index]),
            )
        )
    return scenes


def predicted_cameras(encoding: Float[Tensor, "F 9"], height: int, width: int) -> Cameras:
    """Cameras of VGGT's pose encodings, re-based so that the first one is the world."""
    encoding = encoding.detach().float().cpu()
    encoding = torch.cat([encoding[:, :7], encoding[:, 7:].clamp(*FOV_RANGE)], dim=-1)
    return decode_pose(encoding, height, width).rebased()
