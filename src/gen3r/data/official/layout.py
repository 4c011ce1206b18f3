"""The official layout: names, lists and transforms.json.

::

    ROOT/
      <dataset>/
        <scene>/images/frame00000.png ...   the frames in one flat folder
        <scene>/captions.txt                one prompt per line
        <scene>/transforms.json             per frame: size, intrinsics, camera-to-world pose, OpenCV axes
        train_videos_dirs.txt               one line per scene: its images folder
        train_cameras_paths.txt             its transforms.json
        train_captions_paths.txt            its captions.txt
      train_*.txt  test_*.txt               the lists of all datasets together

Source: github.com/JaceyHuang/Gen3R, README ("Data Preparation") and ``gen3r/utils/data_utils.py``. The lists of one
split are aligned row by row. The official code takes the lines as they are, and of ``file_path`` its last part alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float64

from gen3r.cameras import Cameras
from gen3r.data.clip import Split
from gen3r.scene.json_files import read_json_object
from gen3r.whole_file import whole_file

OfficialSplit = Literal["train", "test"]
SPLITS: Mapping[Split, OfficialSplit] = {"train": "train", "validation": "test", "held-out": "test"}
LISTS = ("videos_dirs", "cameras_paths", "captions_paths")
IMAGES, TRANSFORMS, CAPTIONS = "images", "transforms.json", "captions.txt"
SUFFIXES = (".png", ".jpg", ".jpeg")
"""Pictures that the official code opens."""
RECORD = "gen3r.json"
"""Our scene.json beside transforms.json, which the official code does not look at."""
_INTRINSICS = ("fl_x", "fl_y", "cx", "cy")


@dataclass(frozen=True, kw_only=True)
class OfficialScene:
    """One row of the three lists."""

    images: Path
    """Folder of the frames."""
    transforms: Path
    """Its transforms.json."""
    captions: Path
    """Its captions.txt."""
    split: OfficialSplit
    """Which lists it is in."""

    @property
    def folder(self) -> Path:
        """Of the scene."""
        return self.transforms.parent

    @property
    def rows(self) -> tuple[Path, Path, Path]:
        """What each of the three lists names."""
        return self.images, self.transforms, self.captions

    @property
    def key(self) -> str:
        """``<dataset>/<scene>``."""
        return f"{self.folder.parent.name}/{self.folder.name}"


@dataclass(frozen=True, kw_only=True)
class OfficialFrames:
    """What transforms.json says."""

    files: tuple[str, ...]
    """Names of the pictures inside the images folder, in order."""
    cameras: Cameras
    """``[F]``, float64."""


def frame_entries(cameras: Cameras, files: Iterable[str]) -> list[dict[str, Any]]:
    """The entries of transforms.json for cameras ``[F]`` and file names."""
    poses = torch.linalg.inv(cameras.extrinsics.double()).tolist()
    return [
        {
            "file_path": f"{IMAGES}/{name}",
            "w": cameras.width,
            "h": cameras.height,
            "fl_x": K[0][0],
            "fl_y": K[1][1],
            "cx": K[0][2],
            "cy": K[1][2],
            "transform_matrix": pose,
        }
        for name, K, pose in zip(files, cameras.intrinsics.double().tolist(), poses, strict=True)
    ]


def read_transforms(path: Path) -> OfficialFrames:
    """Read a transforms.json of the official layout.

    Raises:
        ValueError: naming the file, for intrinsics that are not given per frame, frames of several sizes, camera axes
            other than OpenCV's, and poses that are not rotation and translation.
    """
    content = read_json_object(path)
    convention = content.get("camera_convention", "opencv")
    if convention != "opencv":
        raise ValueError(
            f"{path} has camera axes {convention!r}, expected OpenCV's; convert it with gen3r data convert."
        )
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise ValueError(f"{path} must hold a list of frames, got {str(frames)[:40]}.")
    files, poses, intrinsics, sizes = [], [], [], set()
    for index, frame in enumerate(frames):
        where = f"{path}, frame {index}"
        try:
            files.append(str(frame["file_path"]).split("/")[-1])
            poses.append(np.array(frame["transform_matrix"], dtype=np.float64).reshape(4, 4))
            fl_x, fl_y, cx, cy = (float(frame[name]) for name in _INTRINSICS)
            sizes.add((int(frame["h"]), int(frame["w"])))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{where} must hold file_path, transform_matrix, w, h, fl_x, fl_y, cx and cy ({error!r}); a file of "
                "nerfstudio, with intrinsics on top, is read by gen3r data convert nerfstudio."
            ) from error
        intrinsics.append(np.array([[fl_x, 0, cx], [0, fl_y, cy], [0, 0, 1]], dtype=np.float64))
    if len(sizes) != 1:
        raise ValueError(f"{path} has frames of several sizes {sorted(sizes)[:3]}; a clip has one.")
    height, width = sizes.pop()
    cameras = Cameras(_inverse(np.stack(poses), path), torch.from_numpy(np.stack(intrinsics)), height, width)
    try:
        cameras.validate()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return OfficialFrames(files=tuple(files), cameras=cameras)


def write_lists(folder: Path, split: OfficialSplit, scenes: Iterable[OfficialScene], *, relative: bool) -> None:
    """Write the three aligned lists of a split into ``folder``: absolute paths, or relative to ``folder``."""
    rows = [scene.rows for scene in scenes]
    for number, name in enumerate(LISTS):
        paths = [row[number].resolve() for row in rows]
        lines = [path.relative_to(folder.resolve()).as_posix() if relative else str(path) for path in paths]
        with whole_file(list_path(folder, split, name)) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_lists(folder: Path, split: OfficialSplit) -> list[OfficialScene]:
    """The scenes in the lists of a split, relative paths being relative to ``folder``; none without lists.

    Raises:
        ValueError: if only some of the three lists are there, their lengths differ, or one is not UTF-8.
    """
    paths = [list_path(folder, split, name) for name in LISTS]
    there = [path for path in paths if path.is_file()]
    if not there:
        return []
    if len(there) < len(paths):
        missing = next(path for path in paths if path not in there)
        raise ValueError(f"{missing} is missing beside {there[0].name}; the three lists belong together.")
    columns = [read_lines(path) for path in paths]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1:
        raise ValueError(
            f"{folder}: the lists {', '.join(p.name for p in paths)} have {lengths} lines; they must align."
        )
    return [
        OfficialScene(images=folder / images, transforms=folder / transforms, captions=folder / captions, split=split)
        for images, transforms, captions in zip(*columns, strict=True)
    ]


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that hold something.

    Raises:
        ValueError: naming the file, if it is not UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}); convert it.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def list_path(folder: Path, split: OfficialSplit, name: str) -> Path:
    """The list of a split that is called "videos_dirs", "cameras_paths" or "captions_paths"."""
    return folder / f"{split}_{name}.txt"


def _inverse(poses: Float64[np.ndarray, "F 4 4"], path: Path) -> torch.Tensor:
    if not np.isfinite(poses).all():
        raise ValueError(f"{path} holds poses with NaN or infinity; leave those frames out.")
    try:
        return torch.from_numpy(np.linalg.inv(poses))
    except np.linalg.LinAlgError as error:
        raise ValueError(f"{path} holds a pose that is no rotation and translation ({error}).") from error
