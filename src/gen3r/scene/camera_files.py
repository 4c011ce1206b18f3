"""`cameras.json`: poses and intrinsics of a clip as a small text file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.scene.json_files import read_json_object
from gen3r.scene.limits import check_picture_size

CONVENTION = "opencv world-to-camera, pixel centres +0.5"
OFFICIAL_SIZE = (560, 560)
"""(height, width) that the intrinsics of official Gen3R camera files refer to; the files do not say so."""
FOV_RANGE = (0.01, 3.1)
"""Accepted fields of view in radians: from the strongest telescope of a photographer to almost half a turn."""


def write_cameras(path: str | Path, cameras: Cameras) -> None:
    """Write cameras [F] as JSON; every float32 is written exactly."""
    record = {
        "convention": CONVENTION,
        "height": cameras.height,
        "width": cameras.width,
        "extrinsics": cameras.extrinsics.tolist(),
        "intrinsics": cameras.intrinsics.tolist(),
    }
    Path(path).write_text(json.dumps(record, allow_nan=False) + "\n", encoding="utf-8")


def read_cameras(path: str | Path, *, size: tuple[int, int] | None = None) -> Cameras:
    """Read cameras [F] (float32, CPU) from our own file or an official Gen3R one.

    Args:
        size: (height, width) in pixels that the intrinsics refer to, for files that do not say it, as
            the official ones (`OFFICIAL_SIZE`). A file that states its size keeps it.

    Raises `ValueError` for a missing file, broken JSON, another convention, wrong shapes, NaN,
    extrinsics that are not rotation + translation, fields of view outside `FOV_RANGE`, a size that is unknown or
    above 100 million pixels.
    """
    path = Path(path)
    return parse_cameras(read_json_object(path), path, size=size)


def parse_cameras(record: dict[str, Any], path: str | Path, *, size: tuple[int, int] | None = None) -> Cameras:
    """`read_cameras` of an object that was read already; ``path`` is what errors name."""
    convention = record.get("convention", CONVENTION)
    if convention != CONVENTION:
        raise ValueError(f"{path}: unknown convention {convention!r}; convert the cameras to {CONVENTION!r}.")
    extrinsics = _matrices(path, record, "extrinsics", 4)
    intrinsics = _matrices(path, record, "intrinsics", 3)
    if len(extrinsics) != len(intrinsics):
        raise ValueError(
            f"{path}: {len(extrinsics)} extrinsics but {len(intrinsics)} intrinsics; there must be one of each a frame."
        )
    height, width = _size(path, record, size)
    cameras = Cameras(extrinsics=extrinsics.float(), intrinsics=intrinsics.float(), height=height, width=width)
    try:
        cameras.validate()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    check_fov(path, cameras)
    return cameras


def check_fov(path: str | Path, cameras: Cameras) -> None:
    """Raise `ValueError`, naming `path`, for a field of view outside `FOV_RANGE`."""
    for frame, angles in enumerate(cameras.fov.tolist()):
        for axis, angle in zip(("vertical", "horizontal"), angles, strict=True):
            if not FOV_RANGE[0] <= angle <= FOV_RANGE[1]:
                low, high = (math.degrees(limit) for limit in FOV_RANGE)
                raise ValueError(
                    f"{path}: fields of view must be between {low:.1f} and {high:.1f} degrees, but the {axis} one of "
                    f"frame {frame} is {math.degrees(angle):.3g}; focal lengths are in pixels of the "
                    f"{cameras.height}x{cameras.width} image."
                )


def _matrices(path: str | Path, record: dict[str, Any], key: str, side: int) -> Float64[Tensor, "F side side"]:
    expected = f"{key} must be a list of {side}x{side} matrices of finite numbers, at least one"
    try:
        values = torch.tensor(record[key], dtype=torch.float64)
    except KeyError as error:
        raise ValueError(f"{path}: {expected}; the key is missing.") from error
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{path}: {expected}; got something else ({error}).") from error
    if values.ndim != 3 or tuple(values.shape[1:]) != (side, side) or not len(values):
        raise ValueError(f"{path}: {expected}; got shape {list(values.shape)}.")
    bad = [i for i, matrix in enumerate(values) if not bool(torch.isfinite(matrix).all())]
    if bad:
        raise ValueError(f"{path}: {expected}; frames {bad[:5]} hold NaN or infinity.")
    return values


def _size(path: str | Path, record: dict[str, Any], size: tuple[int, int] | None) -> tuple[int, int]:
    if "height" not in record and "width" not in record:
        if size is None:
            raise ValueError(
                f"{path} does not say which image size its intrinsics refer to; add height and width to the file "
                f"or pass the size (official Gen3R files: {OFFICIAL_SIZE[0]}x{OFFICIAL_SIZE[1]})."
            )
        return size
    height, width = _pixels(path, record, "height"), _pixels(path, record, "width")
    check_picture_size(f"{path}: an image of its cameras", height, width)
    return height, width


def _pixels(path: str | Path, record: dict[str, Any], key: str) -> int:
    value = record.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{path}: {key} must be a whole number of pixels, at least 1, got {value!r}.")
    return value
