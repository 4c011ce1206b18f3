"""The second format of Waymo Open: a Parquet file per segment and component."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64
from pyarrow import parquet

from gen3r.data.converters.waymo_segment import Calibration, Picture, Stats
from gen3r.data.converting.raw import UnusableScene

IMAGES, CALIBRATION, VEHICLE, STATS = "camera_image", "camera_calibration", "vehicle_pose", "stats"
"""Components: names of folders."""
_CAMERA, _MICROS = "key.camera_name", "key.frame_timestamp_micros"
_IMAGE, _LENS = "[CameraImageComponent]", "[CameraCalibrationComponent]"
_STATS, _VEHICLE = "[StatsComponent]", "[VehiclePoseComponent]"
_INTRINSIC = ("f_u", "f_v", "c_u", "c_v", "k1", "k2", "p1", "p2", "k3")
_AT_ONCE = 8
"""Pictures held at a time."""


def component_file(images: Path, component: str) -> Path:
    """The file of another component for the segment of a camera_image file."""
    return images.parent.parent / component / images.name


def read_outline(images: Path) -> dict[int, tuple[int, int]]:
    """Number and bytes of the pictures by camera.

    Raises:
        UnusableScene: if this is no camera_image file.
    """
    cameras = np.array(_columns(images, [_CAMERA])[_CAMERA])
    metadata = _open(images).metadata
    size = sum(
        group.column(index).total_compressed_size
        for group in (metadata.row_group(number) for number in range(metadata.num_row_groups))
        for index in range(group.num_columns)
        if group.column(index).path_in_schema == f"{_IMAGE}.image"
    )
    counts = {int(camera): int((cameras == camera).sum()) for camera in np.unique(cameras)}
    return {camera: (count, size * count // len(cameras)) for camera, count in counts.items()}


def read_pictures(images: Path, camera: int) -> list[Picture]:
    """The pictures of one camera, still in the file.

    Raises:
        UnusableScene: if the file is damaged or lacks a column.
    """
    pose, time = f"{_IMAGE}.pose.transform", f"{_IMAGE}.pose_timestamp"
    rows = _columns(images, [_CAMERA, _MICROS, pose, time])
    vehicle = _vehicle_poses(component_file(images, VEHICLE)) if None in rows[pose] else {}
    return [
        Picture(
            camera=camera,
            micros=rows[_MICROS][row],
            time=rows[time][row] or 0.0,
            world_from_vehicle=vehicle.get(rows[_MICROS][row]) if rows[pose][row] is None else _matrix(rows[pose][row]),
            start=row,
            stop=row + 1,
        )
        for row, number in enumerate(rows[_CAMERA])
        if number == camera
    ]


def read_calibration(path: Path, camera: int) -> Calibration:
    """The calibration of one camera.

    Raises:
        UnusableScene: if it is missing or damaged.
    """
    names = [f"{_LENS}.intrinsic.{name}" for name in _INTRINSIC]
    extrinsic, height, width = (f"{_LENS}.{name}" for name in ("extrinsic.transform", "height", "width"))
    rows = _columns(path, [_CAMERA, *names, extrinsic, height, width])
    if camera not in rows[_CAMERA]:
        raise UnusableScene(f"{path.parent.name}/{path.name} does not have this camera.")
    row = rows[_CAMERA].index(camera)
    try:
        return Calibration(
            camera=camera,
            intrinsic=np.array([rows[name][row] for name in names], dtype=np.float64),
            vehicle_from_camera=_matrix(rows[extrinsic][row]),
            height=int(rows[height][row]),
            width=int(rows[width][row]),
        )
    except (TypeError, ValueError) as error:
        raise UnusableScene(f"{path.parent.name}/{path.name} has an incomplete calibration ({error}).") from error


def read_stats(path: Path) -> Stats:
    """What is known of the drive; nothing without a file.

    Raises:
        UnusableScene: if the file is damaged.
    """
    if not path.is_file():
        return Stats()
    names = ("time_of_day", "location", "weather")
    rows = _columns(path, [f"{_STATS}.{name}" for name in names])
    return Stats(**{name: next(filter(None, rows[f"{_STATS}.{name}"]), "") for name in names})


class PictureColumn:
    """The pictures of one file by row, a few of them in memory; quick if rows are asked for in rising order."""

    def __init__(self, images: Path) -> None:
        self._images = images
        self._batches: Iterator[Any] = iter(())
        self._first, self._rows = 0, []

    def __call__(self, row: int) -> bytes:
        """The encoded picture of a row.

        Raises:
            ValueError: if the file cannot be read there.
        """
        if row < self._first or not self._rows:
            self._first, self._rows = 0, []
            self._batches = _open(self._images).iter_batches(_AT_ONCE, columns=[f"{_IMAGE}.image"])
        try:
            while row >= self._first + len(self._rows):
                self._first += len(self._rows)
                self._rows = next(self._batches).column(0)
        except (pa.ArrowException, OSError, StopIteration) as error:
            self._first, self._rows = 0, []
            raise ValueError(f"{self._images} cannot be read at row {row} ({error}).") from error
        return self._rows[row - self._first].as_py()


def _open(path: Path) -> parquet.ParquetFile:
    try:
        return parquet.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise UnusableScene(f"{path.parent.name}/{path.name} cannot be read: {error}") from error


def _columns(path: Path, names: list[str]) -> dict[str, list[Any]]:
    file = _open(path)
    missing = sorted(set(names) - set(file.schema_arrow.names))
    if missing:
        raise UnusableScene(f"{path.parent.name}/{path.name} lacks the columns {', '.join(missing)}.")
    try:
        return file.read(columns=names).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise UnusableScene(f"{path.parent.name}/{path.name} is damaged: {error}") from error


def _matrix(numbers: list[float]) -> Float64[np.ndarray, "4 4"]:
    return np.array(numbers, dtype=np.float64).reshape(4, 4)


def _vehicle_poses(path: Path) -> dict[int, Float64[np.ndarray, "4 4"]]:
    """Where the car was by time of the frame; nothing without a file."""
    if not path.is_file():
        return {}
    pose = f"{_VEHICLE}.world_from_vehicle.transform"
    rows = _columns(path, [_MICROS, pose])
    return {micros: _matrix(numbers) for micros, numbers in zip(rows[_MICROS], rows[pose], strict=True)}
