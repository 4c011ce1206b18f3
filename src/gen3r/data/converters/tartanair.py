"""TartanAir (version 1): rendered flights through 18 environments, with exact metric depth and cameras.

::

    abandonedfactory/Easy/P000/image_left/000000_left.png       some archives add a folder: ENV/ENV/Easy/P000
                              /depth_left/000000_left_depth.npy
                              /pose_left.txt                    the same of the right camera

Every line of a pose file is ``tx ty tz qx qy qz qw``: camera-to-world in metres, with the axes north, east, down for
the world and ahead, right, down for the camera. All pictures have a horizontal field of view of 90 degrees. Depth is
z-depth in metres, the sky very far. There is no split.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.transform import Rotation

from gen3r.data.converters.side_files import (
    PICTURE_SUFFIXES,
    brief,
    estimated_bytes,
    picture_size,
    plain_name,
    read_text,
)
from gen3r.data.converting.raw import (
    ConvertOptions,
    Findings,
    Found,
    Problem,
    RawCamera,
    RawFrame,
    RawScene,
    UnusableScene,
)

SKY = 1000.0
"""Metres; what is as far or farther has no surface."""
CAMERAS = ("left", "right")
_CAMERA_FROM_OPENCV = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
"""OpenCV's right, down, ahead in axes ahead, right, down."""
_WORDS = {
    "abandonedfactory": "an abandoned factory",
    "abandonedfactory_night": "an abandoned factory",
    "amusement": "an amusement park",
    "carwelding": "a car factory",
    "endofworld": "a ruined city",
    "gascola": "a forest with a gas station",
    "hospital": "a hospital",
    "japanesealley": "a Japanese alley",
    "neighborhood": "a neighborhood",
    "ocean": "an ocean under water",
    "office": "an office",
    "office2": "an office",
    "oldtown": "an old town",
    "seasidetown": "a town at the sea",
    "seasonsforest": "a forest in autumn",
    "seasonsforest_winter": "a forest in winter",
    "soulcity": "a rainy city",
    "westerndesert": "a desert town",
}


class TartanAir:
    """Reads TartanAir, version 1."""

    name = "tartanair"
    licence = "CC-BY-4.0"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """One scene per trajectory and camera, the left one unless others are asked for.

        Raises:
            ValueError: if there are no trajectories, for version 2, and for a camera it does not have.
        """
        unknown = sorted(set(options.cameras) - set(CAMERAS))
        if unknown:
            raise ValueError(f"TartanAir has the cameras left and right, got {', '.join(unknown)}.")
        scenes: list[Found] = []
        problems: list[Problem] = []
        for folder in _trajectories(source):
            place = folder.relative_to(source)
            for camera in options.cameras or CAMERAS[:1]:
                pictures = _numbered(folder / f"image_{camera}")
                if not pictures or not (folder / f"pose_{camera}.txt").is_file():
                    reason = f"image_{camera}/ or pose_{camera}.txt is not there; unpack image_{camera}.zip"
                    problems.append(Problem(place=str(place), reason=reason))
                    continue
                scenes.append(
                    Found(
                        name=plain_name(*(source.resolve() / place).parts[-3:], *([camera] * (camera != CAMERAS[0]))),
                        place=f"{place}#{camera}",
                        split="train",
                        frames=len(pictures),
                        size=estimated_bytes(pictures.values()),
                    )
                )
        if not scenes and not problems:
            raise ValueError(
                f"{source} is no TartanAir: expected folders such as abandonedfactory/Easy/P000 with pose_left.txt and "
                "image_left/ in them; unpack image_left.zip (and depth_left.zip) of every environment."
            )
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Describe one trajectory.

        Raises:
            UnusableScene: for unreadable poses, or if no picture has one.
        """
        place, _, camera = found.place.rpartition("#")
        folder = source / place
        pictures = _numbered(folder / f"image_{camera}")
        depths = _numbered(folder / f"depth_{camera}", (".npy",))
        poses = _poses(folder / f"pose_{camera}.txt")
        numbers = [number for number in pictures if number < len(poses)]
        if not numbers:
            raise UnusableScene(f"none of {len(pictures)} pictures has one of {len(poses)} poses.")
        height, width = picture_size(pictures[number] for number in numbers)
        focal = 320 * width / 640
        intrinsics = np.array([[focal, 0, width / 2], [0, 320 * height / 480, height / 2], [0, 0, 1]])
        frames = [
            RawFrame(
                picture=pictures[number],
                camera=RawCamera(intrinsics=intrinsics, world_from_camera=poses[number], height=height, width=width),
                depth=partial(_read_depth, depths[number]) if number in depths else None,
            )
            for number in numbers
        ]
        left_out = sorted(pictures.keys() ^ set(range(len(poses))))
        environment = (source.resolve() / place).parts[-3]
        labels = {"environment": _WORDS.get(environment, environment.replace("_", " "))}
        if environment.endswith("_night"):
            labels["time of day"] = "night"
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="metric",
            frames=tuple(frames),
            labels=labels,
            notes=(f"numbers without picture or pose: {brief(left_out)}",) if left_out else (),
        )


def _trajectories(source: Path) -> Iterator[Path]:
    """Folders with a pose file, wherever they are.

    Raises:
        ValueError: for version 2.
    """
    for path, folders, files in os.walk(source):
        folders.sort()
        if any(name.startswith("image_lcam") for name in folders) or {"Data_easy", "Data_hard"} & set(folders):
            raise ValueError(
                f"{path} holds version 2 of TartanAir, whose cameras and depth are stored in another way; this reads "
                "version 1 (pose_left.txt, image_left/)."
            )
        if any(f"pose_{camera}.txt" in files for camera in CAMERAS):
            folders.clear()
            yield Path(path)


def _numbered(folder: Path, suffixes: tuple[str, ...] = PICTURE_SUFFIXES) -> dict[int, Path]:
    """The files of a folder by the number their names begin with; none if there is no folder."""
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    begun = {name: re.match(r"\d+", name) for name in names if name.lower().endswith(suffixes)}
    return {int(number.group()): folder / name for name, number in begun.items() if number}


def _poses(path: Path) -> list[Float64[np.ndarray, "4 4"]]:
    """World-from-camera by line, OpenCV camera axes; not finite where a line is damaged, which leaves the frame out."""
    return [_pose(line.split()) for line in read_text(path).splitlines() if line.strip()]


def _pose(words: list[str]) -> Float64[np.ndarray, "4 4"]:
    pose = np.full((4, 4), np.nan)
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        return pose
    if len(values) == 7 and np.isfinite(values).all() and np.linalg.norm(values[3:]) > 0.5:
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_quat(values[3:]).as_matrix()
        pose[:3, 3] = values[:3]
        pose = pose @ _CAMERA_FROM_OPENCV
    return pose


def _read_depth(path: Path) -> Float32[np.ndarray, "H W"]:
    depth: Any = np.load(path, allow_pickle=False)
    if depth.ndim != 2 or depth.dtype.kind != "f":
        raise ValueError(f"{path.name} must hold one number with a point per pixel, got {depth.dtype} {depth.shape}")
    return np.where(depth < SKY, depth, 0).astype(np.float32)


CONVERTER = TartanAir()
