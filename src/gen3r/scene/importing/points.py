"""Point clouds of others: read, and seen by cameras as depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64
from plyfile import PlyData, PlyParseError
from scipy.spatial import KDTree
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.scene.files import check_file
from gen3r.scene.splat import splat

NEIGHBOURS = 4
COVER = 1.5
"""Diameter of a point in distances to its neighbours: a little more than the diagonal of a square grid."""
LARGEST_COVER = 4.0
"""The same, in median distances: a lonely point does not hide what is behind it."""
HIDDEN = 1.1
"""How many times as far as the disc in front of it a point is hidden: less is the slant of one surface."""


def read_ply_points(path: str | Path) -> Float64[Tensor, "N 3"]:
    """World points (x y z) of a PLY file, text or binary; other properties are left alone.

    Raises:
        ValueError: with the path, for a missing or damaged file, one without x y z, and points that are not finite.
    """
    path = Path(path)
    check_file(path)
    try:
        vertex = PlyData.read(str(path))["vertex"]
        points = np.stack([np.asarray(vertex[axis], dtype=np.float64) for axis in "xyz"], axis=-1)
    except (PlyParseError, ValueError, KeyError, TypeError, IndexError, MemoryError, OverflowError) as error:
        raise ValueError(
            f"{path} is not a readable point cloud ({type(error).__name__}: {error}); expected PLY with x y z."
        ) from error
    return check_points(path, torch.from_numpy(points))


def check_points(path: Path, points: Float64[Tensor, "N 3"]) -> Float64[Tensor, "N 3"]:
    """The points; `ValueError`, naming `path`, if there is none or one is not finite."""
    if not len(points) or not bool(torch.isfinite(points).all()):
        raise ValueError(f"{path} must hold at least one point, all of them finite; it does not.")
    return points


def depth_of_points(points: Float32[Tensor, "N 3"], cameras: Cameras) -> Float32[Tensor, "F H W"]:
    """z-depth of a point cloud in cameras [F]; 0 where no point is seen.

    Every point is a disc as large as the gaps around it, so that what is in front hides what is behind; a pixel that
    a visible point falls on has that point's depth, one between points that of the nearest disc over it.

    Args:
        points: world points, scene units.
        cameras: float32.
    """
    diameters = _diameters(points)
    depths = []
    for index in range(len(cameras)):
        _, cover = splat(points, diameters, cameras[index])
        _, exact = splat(points, torch.zeros_like(diameters), cameras[index])
        depths.append(torch.where(exact <= HIDDEN * cover, exact, cover))
    depth = torch.stack(depths)
    return torch.where(torch.isfinite(depth), depth, 0.0)


def _diameters(points: Float32[Tensor, "N 3"]) -> Float32[Tensor, " N"]:
    if len(points) <= NEIGHBOURS:
        return torch.zeros(len(points))
    distances, _ = KDTree(points.numpy()).query(points.numpy(), k=NEIGHBOURS + 1)
    gaps = torch.from_numpy(distances[:, 1:].mean(axis=1)).float()
    return COVER * gaps.clamp(max=LARGEST_COVER * float(gaps.median()))
