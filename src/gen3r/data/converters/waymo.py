"""Waymo Open, Perception: 20-second drives, five cameras, metric.

Two formats, told apart by their files, with the same clips: version 1, ``<split>/segment-<context>..tfrecord``, and
version 2, ``<split>/camera_image/<context>.parquet`` beside ``camera_calibration/`` (and ``stats/``, for labels). The
split is the folder: training, validation or testing. One scene per segment and camera.

Pictures are distorted by OpenCV's k1 k2 p1 p2 k3. Cameras look along +x with y to the left and z up:
``c2w = pose @ extrinsic @ inv(A)``, with the pose of the car at the time of the picture, which the file gives for each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from gen3r.data.clip import Split
from gen3r.data.converters import waymo_parquet as version_2
from gen3r.data.converters import waymo_records as version_1
from gen3r.data.converters.side_files import brief, is_rigid, plain_name
from gen3r.data.converters.waymo_segment import CAMERAS, Calibration, Picture, Stats
from gen3r.data.converting.raw import (
    ConvertOptions,
    Findings,
    Found,
    Problem,
    RawFrame,
    RawScene,
    UnusableScene,
)

_SPLITS: Mapping[str, Split] = {"training": "train", "validation": "validation", "testing": "held-out"}
_NAMES = {number: name for name, number in CAMERAS.items()}


class Waymo:
    """Reads Waymo Open, Perception, of version 1 and 2."""

    name = "waymo"
    licence = "Waymo Dataset License Agreement for Non-Commercial Use"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """One scene per segment and camera.

        Raises:
            ValueError: if there are no files of this dataset, or a camera is asked for that it does not have.
        """
        cameras = _chosen(options.cameras)
        files = list(_files(source))
        if not files:
            raise ValueError(
                f"{source} holds no Waymo Open: expected training/segment-*.tfrecord (version 1) or "
                "training/camera_image/*.parquet beside training/camera_calibration/ (version 2), at any depth."
            )
        scenes: list[Found] = []
        problems: list[Problem] = []
        for path in files:
            place = path.relative_to(source).as_posix()
            try:
                context, found, damage = (_records if path.suffix == ".tfrecord" else _parquet)(path)
            except UnusableScene as error:
                problems.append(Problem(place=place, reason=str(error)))
                continue
            problems += [Problem(place=place, reason=reason) for reason in damage]
            for camera, (frames, size) in sorted(found.items()):
                if camera in cameras:
                    name = plain_name(context, _NAMES[camera].lower())
                    split = _split(path.absolute())
                    scenes.append(Found(name=name, place=f"{place}#{camera}", split=split, frames=frames, size=size))
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Describe one scene.

        Raises:
            UnusableScene: for files that are damaged as a whole; single damaged records are left out and noted.
        """
        place, _, number = found.place.rpartition("#")
        path, camera = source / place, int(number)
        if path.suffix == ".tfrecord":
            calibration, pictures, stats, notes, read = _read_records(path, camera)
        else:
            calibration, pictures, stats, notes, read = _read_parquet(path, camera)
        frames = {
            picture.micros: picture
            for picture in sorted(pictures, key=lambda picture: picture.micros)
            if picture.world_from_vehicle is not None and is_rigid(picture.world_from_vehicle)
        }
        if len(frames) < len(pictures):
            notes.append(f"left out {len(pictures) - len(frames)} frames without a pose, or with the time of another")
        if not frames:
            raise UnusableScene("no picture has a pose.")
        timed = all(picture.time > 0 for picture in frames.values())
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="metric",
            frames=tuple(
                RawFrame(
                    picture=partial(read, picture),
                    camera=calibration.at(picture.world_from_vehicle),
                    time=picture.time if timed else micros / 1e6,
                )
                for micros, picture in frames.items()
                if picture.world_from_vehicle is not None
            ),
            labels=stats.labels,
            notes=tuple(notes),
        )


def _chosen(cameras: tuple[str, ...]) -> set[int]:
    unknown = [camera for camera in cameras if camera.upper() not in CAMERAS]
    if unknown:
        raise ValueError(f"Waymo Open has the cameras {', '.join(CAMERAS)}, got {brief(unknown)}.")
    return {CAMERAS[camera.upper()] for camera in cameras} or set(CAMERAS.values())


def _files(source: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(source):
        folders.sort()
        wanted = ".parquet" if Path(place).name == version_2.IMAGES else ".tfrecord"
        yield from (Path(place) / name for name in sorted(files) if name.endswith(wanted))


def _split(path: Path) -> Split:
    """By the nearest folder that is one of the three; training where none is."""
    for part in reversed(path.parts[:-1]):
        if part in _SPLITS:
            return _SPLITS[part]
    return "train"


_Outline = tuple[str, dict[int, tuple[int, int]], tuple[str, ...]]
"""Name of the segment, number and bytes of pictures by camera, and what is damaged."""


def _records(path: Path) -> _Outline:
    outline = version_1.read_outline(path)
    counts = {camera: (outline.records, outline.records * size) for camera, size in outline.cameras.items()}
    return outline.context, counts, outline.damage


def _parquet(path: Path) -> _Outline:
    calibration = version_2.component_file(path, version_2.CALIBRATION)
    if not calibration.is_file():
        raise UnusableScene(
            f"{calibration.parent.name}/{calibration.name} is missing; download this component as well."
        )
    return path.stem, version_2.read_outline(path), ()


_Segment = tuple[Calibration, list[Picture], Stats, list[str], Callable[[Picture], bytes]]


def _read_records(path: Path, camera: int) -> _Segment:
    recording = version_1.read_recording(path)
    if camera not in recording.calibrations:
        raise UnusableScene("its camera is not calibrated.")
    pictures = [picture for picture in recording.pictures if picture.camera == camera]
    notes = [f"{path.name}: {brief(recording.damage)}"] if recording.damage else []
    return recording.calibrations[camera], pictures, recording.stats, notes, partial(_read_bytes, path)


def _read_parquet(path: Path, camera: int) -> _Segment:
    calibration = version_2.read_calibration(version_2.component_file(path, version_2.CALIBRATION), camera)
    stats = version_2.read_stats(version_2.component_file(path, version_2.STATS))
    column = version_2.PictureColumn(path)
    return calibration, version_2.read_pictures(path, camera), stats, [], lambda picture: column(picture.start)


def _read_bytes(path: Path, picture: Picture) -> bytes:
    with path.open("rb") as file:
        file.seek(picture.start)
        return file.read(picture.stop - picture.start)


CONVERTER = Waymo()
