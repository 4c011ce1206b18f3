"""Pictures and videos of point clouds from a camera that turns around them, without a browser."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, UInt8
from torch import Tensor

from gen3r.cameras.cameras import Cameras, pinhole
from gen3r.cameras.projection import project, unproject
from gen3r.cameras.trajectories import look_at
from gen3r.scene.export.video import write_h264
from gen3r.scene.splat import shaded, splat
from gen3r.scene.viewpoints import outside_camera
from gen3r.whole_file import whole_file

FULL_TURN = 360.0
BACKGROUND = (240, 241, 245)


@dataclass(frozen=True, kw_only=True)
class Discs:
    """N coloured discs that face the camera wherever it is, CPU tensors."""

    points: Float32[Tensor, "N 3"]
    """World points."""
    colors: UInt8[Tensor, "N 3"]
    """sRGB, 0..255."""
    diameters: Float32[Tensor, " N"]
    """World units."""

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, kw_only=True)
class Turntable:
    """How to go around."""

    turn: float = 60.0
    """Degrees. Less than 360 swings out to both sides and comes back, which suits scenes seen from the front; 360 goes
    all the way round."""
    elevation: float = 15.0
    """Degrees above the cameras' viewing direction."""
    frames: int = 72
    """Of the video; it loops."""
    rate: int = 24
    """Frames per second."""
    height: int = 540
    """Pixels."""
    width: int = 960
    """Pixels."""

    def __post_init__(self) -> None:
        if not 0 < self.turn <= FULL_TURN:
            raise ValueError(f"turn must be in (0, 360] degrees, got {self.turn:g}.")
        if min(self.frames, self.rate, self.height, self.width) < 1:
            raise ValueError(
                "frames, rate and size must be at least 1, got "
                f"{self.frames}, {self.rate} and {self.height}x{self.width}."
            )

    @property
    def angles(self) -> Float64[np.ndarray, " frames"]:
        """Radians from the middle, one for each frame; the video can be looped without a jump."""
        progress = np.arange(self.frames) / self.frames
        if self.turn == FULL_TURN:
            return 2 * math.pi * progress
        return math.radians(self.turn) / 2 * np.sin(2 * math.pi * progress)


def turned(
    pose: Float64[np.ndarray, "4 4"],
    about: Float64[np.ndarray, 3],
    up: Float64[np.ndarray, 3],
    angles: Float64[np.ndarray, " N"],
) -> Float64[np.ndarray, "N 4 4"]:
    """A world-from-camera pose carried around the axis through ``about`` along ``up`` (unit), by angles in radians.

    Positive angles carry the camera to its right when ``up`` is up in its picture.
    """
    x, y, z = up
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sin, cos = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    rotation = np.eye(3) + sin * cross + (1 - cos) * (cross @ cross)
    poses = np.tile(np.eye(4), (len(angles), 1, 1))
    poses[:, :3, :3] = rotation @ pose[:3, :3]
    poses[:, :3, 3] = about + rotation @ (pose[:3, 3] - about)
    return poses


def turntable_cameras(points: Float[Tensor, "N 3"], cameras: Cameras, table: Turntable) -> Cameras:
    """Cameras that go around the middle of the cloud, all with one focal length that keeps its bulk in the picture.

    Args:
        points: world points, at least one.
        cameras: the scene's cameras [F], which say where its front is and what is up.
    """
    start = outside_camera(
        points, cameras, azimuth=0.0, elevation=table.elevation, height=table.height, width=table.width
    ).to(dtype=torch.float64)
    sample = points[:: max(1, len(points) // 20_000)].double()
    depth = project(sample, start)[1].median().clamp_min(1e-6)
    # The principal point of that camera is such that the bulk is centred: what it sees there is the middle.
    middle = unproject(depth.expand(1, 1), start.resize(1, 1))[0, 0]
    down = start.extrinsics[1, :3] / start.extrinsics[1, :3].norm()
    pose = look_at(start.centers, middle, down=down)
    level = math.radians(table.elevation)
    up = -math.cos(level) * pose[:3, 1] - math.sin(level) * pose[:3, 2]
    poses = torch.from_numpy(turned(pose.numpy(), middle.numpy(), up.numpy(), table.angles))
    one = torch.ones((), dtype=torch.float64)
    unit = Cameras.from_world_from_camera(poses, pinhole(one, one, 0.0, 0.0), table.height, table.width)
    half = torch.tensor([table.width / 2, table.height / 2], dtype=torch.float64)
    focal = min(_fitting(sample, unit[index], half) for index in range(0, table.frames, max(1, table.frames // 12)))
    size = torch.tensor(focal, dtype=torch.float64)
    intrinsics = pinhole(size, size, table.width / 2, table.height / 2).expand(table.frames, 3, 3)
    return replace(unit, intrinsics=intrinsics).to(dtype=torch.float32)


def render(discs: Discs, camera: Cameras) -> UInt8[np.ndarray, "H W 3"]:
    """A picture from a single camera."""
    index, depth = splat(discs.points, discs.diameters, camera)
    return shaded(discs.colors, index, depth, background=BACKGROUND).numpy()


def write_turntable(path: Path, discs: Discs, cameras: Cameras, rate: int) -> None:
    """Render from each camera and write an H.264 video, whole or not at all."""

    def frames() -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        for index in range(len(cameras)):
            yield render(discs, cameras[index])

    with whole_file(path) as temporary:
        write_h264(temporary, frames(), rate=rate)


def _fitting(sample: Tensor, unit: Cameras, half: Tensor, fill: float = 0.92) -> float:
    pixels, depth = project(sample, unit)
    reach = pixels[depth > 0].abs()
    if not len(reach):
        return float(half.min())
    bulk = reach.quantile(0.985, dim=0).clamp_min(1e-9)
    return float((fill * half / bulk).min())
