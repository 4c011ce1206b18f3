"""The first format of Waymo Open: TFRecord files of ``Frame`` messages, read without TensorFlow and protobuf.

A TFRecord file is a row of ``u64 length, u32 checksum, bytes, u32 checksum``, little-endian. A message is a row of
fields, see `gen3r.data.converters.protobuf_fields`. Only the few that are needed are looked at; pictures are left on
disk and remembered by their place. Of the checksums only that of the length is looked at, unless it is 0: what it says
decides where the next record is, while damaged contents show when they are read.

Sources: TensorFlow's TFRecord documentation, and the field numbers in dataset.proto of the Waymo Open Dataset.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gen3r.data.converters.protobuf_fields import BYTES, FIXED64, VARINT, Buffer, Field, doubles, fields, text
from gen3r.data.converters.waymo_segment import Calibration, Picture, Stats
from gen3r.data.converting.raw import UnusableScene

_HEAD, _TAIL = 12, 4
_POLYNOMIAL = 0x82F63B78


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What one TFRecord file says, without its pictures."""

    context: str
    """Name of the segment."""
    stats: Stats
    """What is known of the drive."""
    calibrations: dict[int, Calibration]
    """By camera."""
    pictures: tuple[Picture, ...]
    """Of all cameras."""
    damage: tuple[str, ...]
    """Records that were left out."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What can be told of a file from its first good record."""

    context: str
    """Name of the segment."""
    cameras: dict[int, int]
    """Bytes of a picture by camera."""
    records: int
    """How many there are."""
    damage: tuple[str, ...]
    """What is wrong up to the first good record, and where the file is cut off."""


def read_outline(path: Path) -> Outline:
    """Look at the first record that can be read.

    Raises:
        UnusableScene: if there is none.
    """
    with _mapped(path) as buffer:
        spans, damage = _spans(buffer)
        for start, stop in spans:
            try:
                frame = _read_frame(buffer, start, stop)
            except ValueError as error:
                damage.append(str(error))
                continue
            sizes = {picture.camera: picture.stop - picture.start for picture in frame.pictures}
            return Outline(context=frame.context, cameras=sizes, records=len(spans), damage=tuple(damage))
    raise UnusableScene(f"no record can be read: {'; '.join(damage[:3]) or 'the file is empty'}.")


def read_recording(path: Path) -> Recording:
    """Read everything but the pictures.

    Raises:
        UnusableScene: if no record can be read.
    """
    with _mapped(path) as buffer:
        spans, damage = _spans(buffer)
        frames = []
        for number, (start, stop) in enumerate(spans):
            try:
                frames.append(_read_frame(buffer, start, stop))
            except ValueError as error:
                damage.append(f"record {number} ({error})")
    if not frames:
        raise UnusableScene(f"no record can be read: {'; '.join(damage[:3]) or 'the file is empty'}.")
    first = frames[0]
    return Recording(
        context=first.context,
        stats=first.stats,
        calibrations={camera: item for frame in reversed(frames) for camera, item in frame.calibrations.items()},
        pictures=tuple(picture for frame in frames for picture in frame.pictures),
        damage=tuple(damage),
    )


@dataclass(frozen=True, kw_only=True)
class _Frame:
    context: str
    stats: Stats
    calibrations: dict[int, Calibration]
    pictures: tuple[Picture, ...]


@contextmanager
def _mapped(path: Path) -> Iterator[Buffer]:
    """A file as bytes of which only what is looked at is read."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                yield b""
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
                yield buffer
    except OSError as error:
        raise UnusableScene(f"{path.name} cannot be read: {error}.") from error


def _spans(buffer: Buffer) -> tuple[list[tuple[int, int]], list[str]]:
    """Where the records are, up to the first whose length cannot be right."""
    spans, place, size = [], 0, len(buffer)
    while place < size:
        if place + _HEAD > size:
            return spans, [f"the file ends inside the head of record {len(spans)}"]
        length, checksum = struct.unpack_from("<QI", buffer, place)
        if checksum not in (0, _masked_crc32c(buffer[place : place + 8])):
            return spans, [f"the length of record {len(spans)} is damaged; the rest of the file is not read"]
        start = place + _HEAD
        if start + length + _TAIL > size:
            return spans, [f"the file ends inside record {len(spans)}"]
        spans.append((start, start + length))
        place = start + length + _TAIL
    return spans, []


def _masked_crc32c(data: bytes) -> int:
    """TFRecord's checksum."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _read_frame(buffer: Buffer, start: int, stop: int) -> _Frame:
    """``Frame``: 1 context, 2 timestamp_micros, 3 pose, 4 images."""
    context, stats, calibrations = "", Stats(), {}
    micros, vehicle, images = 0, None, []
    for field in fields(buffer, start, stop):
        if field.number == 1 and field.kind == BYTES:
            context, stats, calibrations = _read_context(buffer, field)
        elif field.number == 2 and field.kind == VARINT:
            micros = field.value
        elif field.number == 3 and field.kind == BYTES:
            vehicle = _transform(buffer, field)
        elif field.number == 4 and field.kind == BYTES:
            images.append(field)
    if not context:
        raise ValueError("it has no context")
    pictures = tuple(_read_image(buffer, field, micros, vehicle) for field in images)
    return _Frame(context=context, stats=stats, calibrations=calibrations, pictures=pictures)


def _read_context(buffer: Buffer, field: Field) -> tuple[str, Stats, dict[int, Calibration]]:
    """``Context``: 1 name, 2 camera_calibrations, 4 stats."""
    name, stats, calibrations = "", Stats(), {}
    for item in fields(buffer, field.start, field.stop):
        if item.number == 1:
            name = text(buffer, item)
        elif item.number == 2 and item.kind == BYTES:
            calibration = _read_calibration(buffer, item)
            calibrations[calibration.camera] = calibration
        elif item.number == 4 and item.kind == BYTES:
            texts = {part.number: part for part in fields(buffer, item.start, item.stop)}
            words = [text(buffer, texts[number]) if number in texts else "" for number in (2, 3, 4)]
            stats = Stats(time_of_day=words[0], location=words[1], weather=words[2])
    return name, stats, calibrations


def _read_calibration(buffer: Buffer, field: Field) -> Calibration:
    """``CameraCalibration``: 1 name, 2 intrinsic, 3 extrinsic, 4 width, 5 height."""
    items = list(fields(buffer, field.start, field.stop))
    numbers = {item.number: item.value for item in items if item.kind == VARINT}
    intrinsic = doubles(buffer, items, 2)
    extrinsic = next((_transform(buffer, item) for item in items if item.number == 3 and item.kind == BYTES), None)
    if len(intrinsic) != 9 or extrinsic is None:
        raise ValueError("a camera's calibration is incomplete")
    return Calibration(
        camera=numbers.get(1, 0),
        intrinsic=intrinsic,
        vehicle_from_camera=extrinsic,
        height=numbers.get(5, 0),
        width=numbers.get(4, 0),
    )


def _read_image(buffer: Buffer, field: Field, micros: int, vehicle: Float64[np.ndarray, "4 4"] | None) -> Picture:
    """``CameraImage``: 1 name, 2 image, 3 pose, 5 pose_timestamp."""
    items = {item.number: item for item in fields(buffer, field.start, field.stop)}
    if 2 not in items or items[2].kind != BYTES:
        raise ValueError("an image has no picture")
    pose = _transform(buffer, items[3]) if 3 in items and items[3].kind == BYTES else vehicle
    time = struct.unpack_from("<d", buffer, items[5].start)[0] if 5 in items and items[5].kind == FIXED64 else 0.0
    return Picture(
        camera=items[1].value if 1 in items else 0,
        micros=micros,
        time=time,
        world_from_vehicle=pose,
        start=items[2].start,
        stop=items[2].stop,
    )


def _transform(buffer: Buffer, field: Field) -> Float64[np.ndarray, "4 4"]:
    """``Transform``: 1 the matrix, row by row."""
    numbers = doubles(buffer, list(fields(buffer, field.start, field.stop)), 1)
    if len(numbers) != 16:
        raise ValueError(f"a transform has {len(numbers)} numbers instead of 16")
    return numbers.reshape(4, 4)
