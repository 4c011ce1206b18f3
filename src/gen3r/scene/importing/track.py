"""What a file of cameras says, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.scene.camera_files import OFFICIAL_SIZE, check_fov
from gen3r.scene.limits import check_picture_size

CameraAxes = Literal["opengl", "opencv"]
DEFAULT_FOV_DEGREES = 60.0
"""Field of view of cameras whose format has no intrinsics, where nobody says otherwise."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What to take for granted where a file does not say it."""

    size: tuple[int, int] | None = OFFICIAL_SIZE
    """(height, width) in pixels that the intrinsics of a cameras.json refer to."""
    fov_degrees: float = DEFAULT_FOV_DEGREES
    """Full field of view of a trajectory without intrinsics, along the longer side of the picture."""
    axes: CameraAxes = "opengl"
    """Camera axes of a transforms.json without `camera_convention`."""


@dataclass(frozen=True, kw_only=True)
class CameraTrack:
    """Cameras in order, and what their file knows about pictures, depth and points."""

    cameras: Cameras
    """[F], float64 where the file has it."""
    pictures: tuple[Path, ...] = ()
    """The picture of each camera, which need not exist; empty if the format does not name them."""
    depths: tuple[Path, ...] = ()
    """The 16-bit depth picture of each camera; empty if there are none."""
    depth_scale: float | None = None
    """Length of one step of those pictures, where the format fixes it."""
    points: Float64[Tensor, "N 3"] | None = None
    """World points, where the format holds them."""
    cloud: Path | None = None
    """A PLY file with points, where the format names one."""
    cloud_scale: float = 1.0
    """What its points are to be multiplied by to be in the world of `cameras`."""


@dataclass(frozen=True, kw_only=True)
class CameraFormat:
    """One kind of camera source."""

    name: str
    """What people call it."""
    find: Callable[[Path], Path | None]
    """The file or folder to read if the given path is or holds this kind, told by content; else None."""
    read: Callable[[Path, ReadOptions], CameraTrack]
    """Reads what `find` found; `ValueError` with the path for anything unusable."""


def joined(
    path: Path,
    extrinsics: Float[Tensor, "F 4 4"],
    intrinsics: Float[Tensor, "F 3 3"],
    sizes: Sequence[tuple[int, int]],
) -> Cameras:
    """Cameras [F] that were read from `path`, checked.

    Args:
        extrinsics: world-to-camera, OpenCV axes.
        intrinsics: pixels, centres at +0.5.
        sizes: (height, width) of each picture; all the same.

    Raises:
        ValueError: naming the path, for pictures of different or impossible sizes, no camera at all, NaN, matrices that
            are not rotation and translation, and fields of view no lens has.
    """
    distinct = sorted(set(sizes))
    if not distinct:
        raise ValueError(f"{path} holds no camera; expected at least one.")
    if len(distinct) > 1:
        listed = ", ".join(f"{height}x{width}" for height, width in distinct[:4])
        raise ValueError(
            f"{path}: all pictures must have one size, got {listed} (HxW); bring them to one size, or split them into "
            "one set per size."
        )
    height, width = distinct[0]
    check_picture_size(f"{path}: a picture", height, width)
    cameras = Cameras(extrinsics.double(), intrinsics.double(), height, width)
    try:
        cameras.validate()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    check_fov(path, cameras)
    return cameras


def pinhole_matrix(focal_x: float, focal_y: float, center_x: float, center_y: float) -> Float64[Tensor, "3 3"]:
    """[[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels."""
    return torch.tensor([[focal_x, 0, center_x], [0, focal_y, center_y], [0, 0, 1]], dtype=torch.float64)
