"""A camera path drawn by hand: key cameras, the spline through them, and its file."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.trajectories import spline_through
from gen3r.scene.camera_files import write_cameras
from gen3r.whole_file import whole_file


@dataclass(frozen=True, kw_only=True)
class DrawnPath:
    """Key cameras and how the path through them is sampled."""

    keys: tuple[Float[np.ndarray, "4 4"], ...]
    """World-from-camera, OpenCV axes, scene units; at least one."""
    frames: int
    """Cameras on the path, evenly spaced in time; the first and the last are the first and the last key."""
    fov_degrees: float
    """Vertical field of view of all of them."""
    height: int
    """Of the pictures, pixels."""
    width: int
    """Of the pictures, pixels."""

    def __post_init__(self) -> None:
        if not self.keys or self.frames < 1:
            raise ValueError(f"expected a key camera and a frame at least, got {len(self.keys)} and {self.frames}.")
        if not 0 < self.fov_degrees < 180:
            raise ValueError(f"expected a field of view between 0 and 180 degrees, got {self.fov_degrees}.")

    @property
    def poses(self) -> Float64[Tensor, "F 4 4"]:
        """World-from-camera poses along the path: those that are shown, previewed and saved."""
        return spline_through(torch.from_numpy(np.stack(self.keys)).double(), self.frames)

    @property
    def cameras(self) -> Cameras:
        """The same as cameras, float64, in the world of the scene: `generate` rebases them on the first itself."""
        poses = self.poses
        intrinsics = Cameras.from_fov(poses, math.radians(self.fov_degrees), self.height, self.width).intrinsics
        return Cameras.from_world_from_camera(poses, intrinsics, self.height, self.width)

    def save(self, path: Path) -> None:
        """Write `cameras.json`, whole or not at all; see `gen3r.scene.camera_files`."""
        with whole_file(path) as temporary:
            write_cameras(temporary, self.cameras)

    def file_content(self) -> bytes:
        """What `save` writes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cameras.json"
            self.save(path)
            return path.read_bytes()
