"""Writes Waymo segments in both formats, drawn by the projection of Waymo's camera_model.cc: u = -y/x, v = -z/x."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from data.converters.fixture import DrawnScene

CONTEXT = "10023947602400723454_1120_000_1140_000"
DISTORTION = (-0.12, 0.03, 0.002, -0.001, 0.01)
"""k1 k2 p1 p2 k3."""
FRONT, FRONT_LEFT = 1, 2
STATS = {"time_of_day": "Day", "location": "location_sf", "weather": "sunny"}
_START = 1_553_735_853_462_203


def _placed(yaw: float, x: float, y: float, z: float) -> np.ndarray:
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, z], [0, 0, 0, 1]])


EXTRINSICS = {FRONT: _placed(1.0, 1.54, 0.02, 2.11), FRONT_LEFT: _placed(7.0, 1.49, 0.20, 2.12)}
"""From a camera's axes (x ahead, y left, z up) to the car's."""
WORLD = _placed(40.0, 12_000.0, -10_000.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture and where it was taken."""

    camera: int
    micros: int
    jpeg: bytes
    pose: np.ndarray
    """Car to world [4,4]."""


def car_pose(scene: DrawnScene, frame: int) -> np.ndarray:
    """The car's pose [4,4] such that the front camera moves as the scene's."""
    pose = scene.world_from_camera[frame]
    right, down, ahead, place = pose[:3].T
    level = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # from the drawn world, which is OpenCV's, to z up
    front = np.eye(4)
    front[:3] = level @ np.stack([ahead, -right, -down, place], axis=1)
    return WORLD @ front @ np.linalg.inv(EXTRINSICS[FRONT])


def seen_by(camera: int, scene: DrawnScene) -> DrawnScene:
    """The scene with the poses of another camera of the car."""
    axes = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    aside = axes @ np.linalg.inv(EXTRINSICS[FRONT]) @ EXTRINSICS[camera] @ np.linalg.inv(axes)
    return replace(scene, world_from_camera=scene.world_from_camera @ aside)


def shots(scene: DrawnScene, distortion: Sequence[float] = DISTORTION) -> list[Shot]:
    """Every frame of both cameras."""
    return [
        Shot(
            camera=camera,
            micros=_START + frame * 100_000,
            jpeg=_jpeg(scene.draw(frame, _pixels(scene, frame, camera, distortion))),
            pose=car_pose(scene, frame),
        )
        for frame in range(scene.frames)
        for camera in EXTRINSICS
    ]


def _pixels(scene: DrawnScene, frame: int, camera: int, distortion: Sequence[float]) -> np.ndarray:
    """Waymo's formula: from the drawn world to pixels [10,2], counted from the corner."""
    points = np.c_[scene.points, np.ones(len(scene.points))]
    points = WORLD @ np.stack([points[:, 2], -points[:, 0], -points[:, 1], points[:, 3]])
    x, y, z = (np.linalg.inv(car_pose(scene, frame) @ EXTRINSICS[camera]) @ points)[:3]
    u, v = -y / x, -z / x
    k1, k2, p1, p2, k3 = distortion
    r2 = u * u + v * v
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u, v = u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u), v * radial + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v
    (f_u, _, c_u), (_, f_v, c_v), _ = scene.intrinsics
    return np.stack([u * f_u + c_u, v * f_v + c_v], axis=1)


def _jpeg(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=95, subsampling=0)
    return stream.getvalue()


# --- version 1: protobuf messages in a TFRecord file


def varint(value: int) -> bytes:
    """7 bits a byte, lowest first."""
    out = bytearray()
    while True:
        out.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number: int, value: int | bytes | str | float) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def doubles(number: int, values: np.ndarray | Sequence[float], packed: bool) -> bytes:
    """A repeated double."""
    numbers = [float(value) for value in np.asarray(values).reshape(-1)]
    if packed:
        return field(number, struct.pack(f"<{len(numbers)}d", *numbers))
    return b"".join(field(number, value) for value in numbers)


def frame_message(
    scene: DrawnScene, taken: Sequence[Shot], *, packed: bool = False, distortion: Sequence[float] = DISTORTION
) -> bytes:
    """A ``Frame`` with the pictures of one moment. What the converter must skip is there as well."""
    (f_u, _, c_u), (_, f_v, c_v), _ = scene.intrinsics
    calibrations = [
        field(1, camera)
        + doubles(2, [f_u, f_v, c_u, c_v, *distortion], packed)
        + field(3, doubles(1, extrinsic, packed))
        + field(4, scene.width)
        + field(5, scene.height)
        + field(6, 2)
        for camera, extrinsic in EXTRINSICS.items()
    ]
    stats = field(2, STATS["time_of_day"]) + field(3, STATS["location"]) + field(4, STATS["weather"])
    context = field(1, CONTEXT) + b"".join(field(2, item) for item in calibrations) + field(4, stats)
    images = [
        field(1, shot.camera)
        + field(2, shot.jpeg)
        + field(3, doubles(1, shot.pose, packed))
        + field(4, b"\x0d\x00\x00\x80\x3f")  # velocity
        + field(5, shot.micros / 1e6)
        for shot in taken
    ]
    wrong = taken[0].pose.copy()
    wrong[:3, 3] += 0.4  # of the middle of the frame: not to be used where images have their own
    lasers = field(5, b"\x08\x01" * 50)
    return (
        field(1, context)
        + field(2, taken[0].micros)
        + field(3, doubles(1, wrong, packed))
        + lasers
        + b"".join(field(4, image) for image in images)
    )


def tfrecord(messages: Sequence[bytes], *, checksums: bool = True) -> bytes:
    """The content of a TFRecord file."""
    out = b""
    for message in messages:
        length = struct.pack("<Q", len(message))
        heads, tails = (_masked(part) if checksums else 0 for part in (length, message))
        out += length + struct.pack("<I", heads) + message + struct.pack("<I", tails)
    return out


def write_tfrecord(
    root: Path,
    scene: DrawnScene,
    *,
    split: str = "training",
    packed: bool = False,
    taken: Sequence[Shot] | None = None,
    distortion: Sequence[float] = DISTORTION,
    checksums: bool = True,
) -> Path:
    """A segment as version 1.4 has it."""
    pictures = shots(scene, distortion) if taken is None else list(taken)
    moments = {shot.micros: [other for other in pictures if other.micros == shot.micros] for shot in pictures}
    messages = [frame_message(scene, moment, packed=packed, distortion=distortion) for moment in moments.values()]
    path = root / split / f"segment-{CONTEXT}_with_camera_labels.tfrecord"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tfrecord(messages, checksums=checksums))
    return path


def _masked(data: bytes) -> int:
    """crc32c by its table, masked as TFRecord does."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


# --- version 2: Parquet


def write_parquet(
    root: Path,
    scene: DrawnScene,
    *,
    split: str = "training",
    taken: Sequence[Shot] | None = None,
    number_type: Any = None,
    distortion: Sequence[float] = DISTORTION,
    rows_per_group: int = 5,
) -> Path:
    """A segment as version 2.0 has it; ``number_type`` of the transforms, float64 by default."""
    numbers = pa.list_(number_type or pa.float64(), 16)
    pictures = shots(scene, distortion) if taken is None else list(taken)
    name = "[CameraImageComponent]"
    images = {
        "key.segment_context_name": [CONTEXT] * len(pictures),
        "key.frame_timestamp_micros": pa.array([shot.micros for shot in pictures], pa.int64()),
        "key.camera_name": pa.array([shot.camera for shot in pictures], pa.int8()),
        f"{name}.image": pa.array([shot.jpeg for shot in pictures], pa.binary()),
        f"{name}.pose.transform": pa.array([shot.pose.reshape(-1).tolist() for shot in pictures], numbers),
        f"{name}.pose_timestamp": pa.array([shot.micros / 1e6 for shot in pictures], pa.float64()),
    }
    name = "[CameraCalibrationComponent]"
    (f_u, _, c_u), (_, f_v, c_v), _ = scene.intrinsics
    lens = dict(
        zip(("f_u", "f_v", "c_u", "c_v", "k1", "k2", "p1", "p2", "k3"), (f_u, f_v, c_u, c_v, *distortion), strict=True)
    )
    count = len(EXTRINSICS)
    calibration = {
        "key.segment_context_name": [CONTEXT] * count,
        "key.camera_name": pa.array(list(EXTRINSICS), pa.int8()),
        **{f"{name}.intrinsic.{key}": pa.array([value] * count, pa.float64()) for key, value in lens.items()},
        f"{name}.extrinsic.transform": pa.array(
            [matrix.reshape(-1).tolist() for matrix in EXTRINSICS.values()], numbers
        ),
        f"{name}.width": pa.array([scene.width] * count, pa.int32()),
        f"{name}.height": pa.array([scene.height] * count, pa.int32()),
    }
    stats = {
        "key.segment_context_name": [CONTEXT] * 2,
        **{f"[StatsComponent].{key}": [value] * 2 for key, value in STATS.items()},
    }
    _write(root / split, "camera_calibration", calibration, 100)
    _write(root / split, "stats", stats, 100)
    return _write(root / split, "camera_image", images, rows_per_group)


def _write(folder: Path, component: str, columns: Mapping[str, Any], rows: int) -> Path:
    path = folder / component / f"{CONTEXT}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(dict(columns)), path, row_group_size=rows)
    return path
