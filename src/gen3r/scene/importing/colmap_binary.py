"""Whether the binary files of a COLMAP model are whole, before a library allocates what they promise.

Layouts: https://colmap.github.io/format.html and COLMAP's reconstruction_io_binary.cc; all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pycolmap

_CAMERA = struct.calcsize("<iiQQ")
_POSE = struct.calcsize("<i7di")
_POINT = struct.calcsize("<Q3d3Bd")


def check_binary_model(folder: Path) -> None:
    """Raise `ValueError` for a .bin file of the model whose records do not end where the file does."""
    for name, skip in RECORDS.items():
        path = folder / name
        if path.is_file():
            data = path.read_bytes()
            try:
                end = _end(data, skip)
            except (struct.error, ValueError):
                end = -1
            if end != len(data):
                raise ValueError(
                    f"{path} is truncated or damaged: its {len(data):,} bytes do not hold the records that it counts; "
                    "get a fresh copy or write the model again."
                )


def _end(data: bytes, skip: Callable[[bytes, int], int]) -> int:
    (count,) = struct.unpack_from("<Q", data)
    at = 8
    for _ in range(count):
        if at >= len(data):
            return -1
        at = skip(data, at)
    return at


def _after_camera(data: bytes, at: int) -> int:
    _, model = struct.unpack_from("<ii", data, at)
    parameters = pycolmap.Camera.create_from_model_id(1, pycolmap.CameraModelId(model), 1.0, 1, 1).params
    return at + _CAMERA + 8 * len(parameters)


def _after_image(data: bytes, at: int) -> int:
    end_of_name = data.index(b"\0", at + _POSE) + 1
    (keypoints,) = struct.unpack_from("<Q", data, end_of_name)
    return end_of_name + 8 + 24 * keypoints


def _after_point(data: bytes, at: int) -> int:
    (length,) = struct.unpack_from("<Q", data, at + _POINT)
    return at + _POINT + 8 + 8 * length


def _after_rig(data: bytes, at: int) -> int:
    _, sensors = struct.unpack_from("<II", data, at)
    at += 8 + (8 if sensors else 0)
    for _ in range(1, sensors):
        (posed,) = struct.unpack_from("<?", data, at + 8)
        at += 9 + (56 if posed else 0)
    return at


def _after_frame(data: bytes, at: int) -> int:
    (length,) = struct.unpack_from("<I", data, at + 64)
    return at + 68 + 16 * length


RECORDS: Mapping[str, Callable[[bytes, int], int]] = {
    "cameras.bin": _after_camera,
    "images.bin": _after_image,
    "points3D.bin": _after_point,
    "rigs.bin": _after_rig,
    "frames.bin": _after_frame,
}
"""Where the record that begins at a byte ends, per file."""
