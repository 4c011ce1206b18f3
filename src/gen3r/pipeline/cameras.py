"""The camera path of a request in the unit the model was trained in: the mean depth of the first view."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras, trajectory_scale
from gen3r.cameras.pose_encoding import decode_pose
from gen3r.cameras.trajectories import trajectory
from gen3r.conditioning.cameras import scene_scale
from gen3r.latents.grid import LatentGrid
from gen3r.models.vggt import VGGTOutput
from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.request import FREE, PlacedViews, SceneRequest
from gen3r.pipeline.surfaces import surfaces

STATIC_BASELINE = 1e-3
"""Distance between views below which their baseline says nothing about scale."""
ReadViews = Callable[[Tensor], VGGTOutput]
"""VGGT, or what has it at work while it reads ``[1, V, 3, H, W]`` pictures in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class CameraPath:
    """Cameras the transformer is asked to follow."""

    cameras: Cameras | None
    """``[F]``, first camera at the origin, translations in mean depths of the first view; None = free."""
    scale: float
    """Length of one such unit in the unit of the user's cameras (1 if the user gave none)."""
    source: str
    """Where the path and its scale came from, for provenance."""


def camera_path(
    request: SceneRequest,
    placed: PlacedViews,
    grid: LatentGrid,
    read: ReadViews | None,
    config: PipelineConfig,
    *,
    crop_intrinsics: bool = True,
) -> CameraPath:
    """Resolve what the request says about cameras.

    A named trajectory takes its field of view and its size (the official 0.8 median depths) from VGGT's reading of the
    views, and goes only part of the way if that is farther than the model has seen. User cameras are re-based
    on frame 0 and divided by the scene scale: ``request.camera_scale`` if given; else, with two or more views, the
    ratio between the distances of the user's cameras at those frames and of VGGT's; else 1, unless the path travels
    farther than the model has ever seen, which shrinks it to that. Models trained without
    ``ConditioningConfig.normalize_scale``, like the official one, get user cameras as they are and trajectories in the
    unit of VGGT's reading, neither shrunk nor divided.

    ``crop_intrinsics=False`` takes the intrinsics of user cameras for those of the cropped views, whatever size they
    say, as the official script does.

    ``read`` is called only where the views have to say something about the path. Models without VGGT have none (None):
    views then count as none, and a trajectory goes as far as without any.

    Raises:
        ValueError: unknown trajectory name (listing the known ones).
    """
    if request.cameras is None or request.cameras == FREE:
        return CameraPath(cameras=None, scale=1.0, source=FREE)
    if isinstance(request.cameras, str):
        return _named_path(request.cameras, placed, grid, read, config)
    cameras = request.cameras.to(dtype=torch.float32)
    if crop_intrinsics:
        cameras = cameras.cover_crop(*grid.size)
    else:
        cameras = replace(cameras, height=grid.height, width=grid.width)
    cameras = cameras.rebased()
    if request.camera_scale is not None and config.conditioning.normalize_scale:
        scale, source = float(request.camera_scale), "camera_scale as given"
    elif config.conditioning.normalize_scale:
        scale, source = _estimated_scale(cameras, placed, read, config)
    elif request.camera_scale is None:
        scale, source = 1.0, "numbers as they are"
    else:
        raise ValueError(
            f"expected no camera_scale, got {request.camera_scale:g}: this model takes the numbers of cameras as they "
            "are. Scale the cameras instead."
        )
    return CameraPath(cameras=cameras.scaled(1.0 / scale), scale=scale, source=f"user cameras, {source}")


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """What VGGT sees in the given views, in its own unit."""

    cameras: Cameras
    depth: Float[Tensor, "V H W"]
    confidence: Float[Tensor, "V H W"]

    def near(self, config: PipelineConfig) -> Float[Tensor, "V H W"]:
        """Depth with what counts as sky set to 0."""
        return torch.where(surfaces(self.depth, self.confidence, config), self.depth, 0.0)


@torch.no_grad()
def _read_views(placed: PlacedViews, read: ReadViews) -> _Reading:
    output = read(placed.pictures[None])
    height, width = placed.video.shape[-2:]
    return _Reading(
        cameras=decode_pose(output.pose_encoding[0].cpu(), height, width),
        depth=output.depth[0].cpu(),
        confidence=output.depth_confidence[0].cpu(),
    )


def _named_path(
    name: str, placed: PlacedViews, grid: LatentGrid, read: ReadViews | None, config: PipelineConfig
) -> CameraPath:
    if not placed.at or read is None:
        poses = _sized(name, grid.frames, 1.0, config)
        fov = torch.tensor(math.radians(config.fov_degrees))
        cameras = Cameras.from_fov(torch.eye(4)[None], fov, grid.height, grid.width)
        source = f"trajectory {name}, field of view {config.fov_degrees:g} degrees"
        intrinsics = cameras.intrinsics
    else:
        reading = _read_views(placed, read)
        size = trajectory_scale(reading.near(config)) / _unit(reading, config)
        poses = _sized(name, grid.frames, size, config)
        intrinsics = reading.cameras.intrinsics[:1]
        source = f"trajectory {name}, sized by VGGT"
    return CameraPath(
        cameras=Cameras.from_world_from_camera(poses.float(), intrinsics, grid.height, grid.width),
        scale=1.0,
        source=source,
    )


def _sized(name: str, frames: int, scale: float, config: PipelineConfig) -> Float[Tensor, "F 4 4"]:
    poses = trajectory(name, frames, scale)
    travel = float(poses[:, :3, 3].norm(dim=-1).max())
    if config.max_travel is None or travel <= config.max_travel or not config.conditioning.normalize_scale:
        return poses
    return trajectory(name, frames, scale, amount=config.max_travel / travel)


def _unit(reading: _Reading, config: PipelineConfig) -> float:
    """What the model measures lengths in: the mean depth of the first view, or VGGT's own unit."""
    if not config.conditioning.normalize_scale:
        return 1.0
    return float(scene_scale(reading.near(config)[:1])[0])


def _estimated_scale(
    cameras: Cameras, placed: PlacedViews, read: ReadViews | None, config: PipelineConfig
) -> tuple[float, str]:
    if len(placed.at) > 1 and read is not None:
        reading = _read_views(placed, read)
        unit = _unit(reading, config)
        seen = (reading.cameras.centers - reading.cameras.centers[:1]).norm(dim=-1).sum() / unit
        asked_centers = cameras.centers[list(placed.at)]
        asked = (asked_centers - asked_centers[:1]).norm(dim=-1).sum()
        if seen > STATIC_BASELINE and asked > 0:
            return float(asked / seen), "scale from the baselines VGGT sees between the views"
    travel = float(cameras.centers.norm(dim=-1).max())
    if config.max_travel is not None and travel > config.max_travel:
        return travel / config.max_travel, f"path shrunk to the {config.max_travel:g} mean depths known from training"
    return 1.0, "numbers taken as mean depths of the first view"
