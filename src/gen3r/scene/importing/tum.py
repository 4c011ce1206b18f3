"""TUM trajectories as a camera source: `timestamp tx ty tz qx qy qz qw` a line."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import invert_se3, rigid
from gen3r.cameras.pose_encoding import rotation_from_quaternion
from gen3r.scene.camera_files import OFFICIAL_SIZE
from gen3r.scene.export.tum import INTRINSICS_COMMENT
from gen3r.scene.files import check_file, reading
from gen3r.scene.importing.track import CameraTrack, ReadOptions, joined, pinhole_matrix

COLUMNS = 8
UNIT_TOLERANCE = 0.01
"""Largest accepted difference of a quaternion's length from 1: the rounding of files with few digits."""
_HEAD_BYTES = 65536


def find(path: Path) -> Path | None:
    """A text file whose first line that is no comment holds eight numbers."""
    if not path.is_file():
        return None
    with reading(path), path.open("rb") as file:
        head = file.read(_HEAD_BYTES).decode("utf-8-sig", errors="replace")
    rows = (line.split() for line in head.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    first = next(rows, [])
    return path if len(first) == COLUMNS and all(_number(word) is not None for word in first) else None


def read(path: Path, options: ReadOptions) -> CameraTrack:
    """Cameras in the order of the file; poses are camera-to-world with OpenCV axes, quaternions x y z w.

    Intrinsics are those of our own comment lines if the file has them, as our exports do. Otherwise every
    camera is a square picture of `options.fov_degrees` either way.

    Raises:
        ValueError: naming the line, for anything but eight finite numbers, times that do not increase, and quaternions
            that are not of length 1.
    """
    check_file(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file ({error}); expected a TUM trajectory.") from error
    side = min(OFFICIAL_SIZE)
    focal = side / 2 / math.tan(math.radians(options.fov_degrees) / 2)
    size, intrinsics = (side, side), pinhole_matrix(focal, focal, side / 2, side / 2)
    rows: list[list[float]] = []
    lenses: list[Float64[Tensor, "3 3"]] = []
    sizes: list[tuple[int, int]] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith(INTRINSICS_COMMENT):
            size, intrinsics = _intrinsics(f"{path}, line {number}", line.removeprefix(INTRINSICS_COMMENT))
        elif line.strip() and not line.lstrip().startswith("#"):
            row = _numbers(f"{path}, line {number}", line, COLUMNS)
            if rows and row[0] <= rows[-1][0]:
                raise ValueError(f"{path}, line {number}: times must increase, got {row[0]} after {rows[-1][0]}.")
            rows.append(row)
            lenses.append(intrinsics)
            sizes.append(size)
    if not rows:
        raise ValueError(f"{path} holds no pose; expected lines of timestamp tx ty tz qx qy qz qw.")
    return CameraTrack(cameras=_cameras(path, torch.tensor(rows, dtype=torch.float64), torch.stack(lenses), sizes))


def _cameras(
    path: Path, rows: Float64[Tensor, "F 8"], intrinsics: Float64[Tensor, "F 3 3"], sizes: list[tuple[int, int]]
) -> Cameras:
    quaternions = rows[:, 4:]
    wrong = ((quaternions.norm(dim=-1) - 1).abs() > UNIT_TOLERANCE).nonzero()
    if len(wrong):
        pose = int(wrong[0])
        raise ValueError(
            f"{path}: the quaternion of pose {pose} must have length 1, got {float(quaternions[pose].norm()):.4g}; the "
            "columns are timestamp tx ty tz qx qy qz qw."
        )
    return joined(path, invert_se3(rigid(rotation_from_quaternion(quaternions), rows[:, 1:4])), intrinsics, sizes)


def _intrinsics(where: str, words: str) -> tuple[tuple[int, int], Float64[Tensor, "3 3"]]:
    width, height, *pinhole = _numbers(where, words, 6)
    if not (width.is_integer() and height.is_integer()):
        raise ValueError(f"{where}: width and height must be whole numbers of pixels, got {width} and {height}.")
    return (int(height), int(width)), pinhole_matrix(*pinhole)


def _numbers(where: str, line: str, count: int) -> list[float]:
    numbers = [_number(word) for word in line.split()]
    known = [number for number in numbers if number is not None]
    if len(numbers) != count or len(known) != count:
        raise ValueError(f"{where}: expected {count} finite numbers, got {line.strip()[:80]!r}.")
    return known


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
