"""`transforms.json` of nerfstudio, instant-ngp, NeRF's Blender scenes and Gen3R's training data as a camera source."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float64
from natsort import natsorted
from torch import Tensor

from gen3r.cameras.convention import extrinsics_from_opengl, homogeneous, invert_se3
from gen3r.scene.export.nerfstudio import DEPTH_UNIT, DEPTH_UNIT_KEY, UNITS_KEY
from gen3r.scene.images import IMAGE_SUFFIXES, image_size
from gen3r.scene.importing.track import CameraTrack, ReadOptions, joined, pinhole_matrix
from gen3r.scene.json_files import looks_like_json, read_json_object

FILE_NAMES = ("transforms.json", "transforms_train.json")
"""Of a folder's file; the second is what NeRF's Blender scenes have."""
DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
PINHOLE_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", "PERSPECTIVE")
"""Camera models that are pinholes where their distortion is zero."""
EXTRINSICS: Mapping[str, Callable[[Tensor], Tensor]] = {"opengl": extrinsics_from_opengl, "opencv": invert_se3}
"""From camera-to-world with the named camera axes to our extrinsics."""


def find(path: Path) -> Path | None:
    """A JSON file with frames, or the transforms.json of a folder, or else its transforms_train.json."""
    files = [path / name for name in FILE_NAMES] if path.is_dir() else [path]
    file = next((file for file in files if looks_like_json(file)), None)
    if file is None:
        return None
    try:
        return file if "frames" in read_json_object(file) else None
    except ValueError:
        return file if file.name in FILE_NAMES else None  # its reader says what is wrong with it


def read(path: Path, options: ReadOptions) -> CameraTrack:
    """Cameras in the natural order of their pictures' names (of the file where it names none).

    Poses are camera-to-world with the axes that the key `camera_convention` names, `options.axes` without it. The
    world is the file's: `applied_transform`, which only tells how it was turned before, is not undone. Depth
    pictures are in millimetres, as nerfstudio takes them, unless the key `depth_unit_scale_factor` says otherwise.
    The pictures say the size where the file does not; their names may lack the suffix.

    Raises:
        ValueError: for broken JSON, missing or unusable numbers, distortion, and fisheye or panoramic cameras.
    """
    record = read_json_object(path)
    views = read_frames(path, record)
    axes = camera_axes(path, record, options.axes)
    for view in views:
        view.check_lens()
    poses = torch.stack([view.pose() for view in views])
    unit = positive_number(path, record, UNITS_KEY, 1.0)  # 1 in the files of others
    names = [view.values.get("file_path") for view in views]
    depths = [view.values.get("depth_file_path") for view in views]
    cloud = record.get("ply_file_path")
    return CameraTrack(
        cameras=joined(
            path,
            EXTRINSICS[axes](poses),
            torch.stack([view.intrinsics() for view in views]),
            [view.size for view in views],
        ).scaled(1 / unit),
        pictures=tuple(picture_path(path, name) for name in names if isinstance(name, str)) if _texts(names) else (),
        depths=tuple(path.parent / name for name in depths if isinstance(name, str)) if _texts(depths) else (),
        depth_scale=positive_number(path, record, DEPTH_UNIT_KEY, DEPTH_UNIT) / unit,
        cloud=path.parent / cloud if isinstance(cloud, str) else None,
        cloud_scale=1 / unit,
    )


def read_frames(path: Path, record: dict[str, Any], key: str = "frames") -> list[FrameEntry]:
    """The frames that a file lists under ``key``, in the natural order of their pictures' names where all have one.

    Raises:
        ValueError: naming the path, if there is no such list, or nothing in it.
    """
    frames = record.get(key)
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise ValueError(f"{path}: {key} must be a list of objects, at least one.")
    if _texts([frame.get("file_path") for frame in frames]):
        frames = natsorted(frames, key=lambda frame: frame["file_path"])
    return [FrameEntry(path, index, {**record, **frame}) for index, frame in enumerate(cast(list[dict], frames))]


def camera_axes(path: Path, record: dict[str, Any], default: str) -> str:
    """The key of `EXTRINSICS` that the file names; `ValueError` for another name."""
    axes = record.get("camera_convention", default)
    if not isinstance(axes, str) or axes not in EXTRINSICS:
        raise ValueError(f"{path}: camera_convention must be opengl or opencv, got {axes!r}.")
    return axes


def picture_path(path: Path, name: str) -> Path:
    """The picture that the file `path` calls `name`; a name without a suffix is that of the picture that is there."""
    picture = path.parent / name
    if picture.suffix.lower() in IMAGE_SUFFIXES:
        return picture
    candidates = (picture.with_name(picture.name + suffix) for suffix in IMAGE_SUFFIXES)
    return next((file for file in candidates if file.is_file()), picture)


def _texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def positive_number(path: Path, record: dict[str, Any], key: str, default: float) -> float:
    """A length that the file says, or the default; `ValueError` naming the path for what is no positive number."""
    value = record.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-12 < value < 1e12:
        raise ValueError(f"{path}: {key} must be a positive number, got {value!r:.60}.")
    return float(value)


class FrameEntry:
    """One frame; what it does not say itself, the file says for all. Errors are ValueErrors naming file and frame."""

    def __init__(self, path: Path, index: int, values: dict[str, Any]) -> None:
        self.path, self.values = path, values
        self.where = f"{path}: frame {index} ({values.get('file_path', 'without file_path')!s:.160})"

    def number(self, key: str) -> float:
        """A finite number that must be there."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            got = "it is missing" if value is None else f"got {value!r:.60}"
            raise ValueError(f"{self.where} needs the number {key}; {got}.")
        if not abs(value) < 1e12:  # nor is NaN
            raise ValueError(f"{self.where}: {key} must be a finite number below 1e12, got {value!r:.60}.")
        return float(value)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) that the intrinsics are for; the picture's own where the file does not say."""
        name = self.values.get("file_path")
        if "w" not in self.values and "h" not in self.values and isinstance(name, str):
            try:
                return image_size(picture_path(self.path, name))
            except ValueError as error:
                raise ValueError(f"{self.where} has no w and h, and its picture does not say them: {error}") from error
        height, width = self.number("h"), self.number("w")
        if not (height.is_integer() and width.is_integer()):
            raise ValueError(f"{self.where}: w and h must be whole numbers of pixels, got {width} and {height}.")
        return int(height), int(width)

    def check_lens(self) -> None:
        """Refuse whatever is not a pinhole without distortion."""
        model = self.values.get("camera_model", "PINHOLE")
        distorted = [key for key in DISTORTION if key in self.values and self.number(key) != 0]
        if model in PINHOLE_MODELS and not distorted and not self.values.get("is_fisheye"):
            return
        problem = f"its {', '.join(distorted)} are not zero" if distorted else f"its camera_model is {model!r:.60}"
        raise ValueError(
            f"{self.where} must be a pinhole camera without distortion, but {problem}; undistort the pictures first, "
            "such as with colmap image_undistorter, and use the cameras that come with them."
        )

    def intrinsics(self) -> Float64[Tensor, "3 3"]:
        """Pixels of a picture of `size`, corner origin."""
        height, width = self.size
        focal_x = self._focal("fl_x", "camera_angle_x", width)
        focal_y = self._focal("fl_y", "camera_angle_y", height, otherwise=focal_x)
        centers = (
            self.number(key) if key in self.values else side / 2 for key, side in (("cx", width), ("cy", height))
        )
        return pinhole_matrix(focal_x, focal_y, *centers)

    def _focal(self, key: str, angle_key: str, side: int, otherwise: float | None = None) -> float:
        if key not in self.values and angle_key in self.values:
            angle = self.number(angle_key)
            if not 0 < angle < math.pi:
                raise ValueError(f"{self.where}: {angle_key} must be between 0 and pi radians, got {angle}.")
            return side / 2 / math.tan(angle / 2)
        return otherwise if key not in self.values and otherwise is not None else self.number(key)

    def pose(self) -> Float64[Tensor, "4 4"]:
        """Camera-to-world, the axes of the file."""
        expected = f"{self.where} needs transform_matrix, 4x4 or 3x4 numbers"
        try:
            pose = torch.tensor(self.values["transform_matrix"], dtype=torch.float64)
        except KeyError as error:
            raise ValueError(f"{expected}; it is missing.") from error
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ValueError(f"{expected}; got something else ({error}).") from error
        if tuple(pose.shape) not in ((4, 4), (3, 4)):
            raise ValueError(f"{expected}; got shape {list(pose.shape)}.")
        return homogeneous(pose)
