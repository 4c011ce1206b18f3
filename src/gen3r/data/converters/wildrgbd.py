"""WildRGB-D: objects filmed by a phone with depth sensor; metric poses by RGB-D SLAM.

::

    <category>/scenes/<scene>/{rgb,depth,masks}/00000.png  metadata  cam_poses.txt
    <category>/{nvs_list.json, camera_eval_list.json}

``metadata`` is JSON whose ``K`` lists the intrinsics column by column; ``cam_poses.txt`` has the frame and a
camera-to-world matrix (OpenCV axes, metres, row by row) per line; depth is 16-bit in millimetres, 0 = none. A scene is
for training only if both lists train on it, as DUSt3R takes them; all others are held out. Scenes are found by their
files, whatever the folders are called.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from gen3r.data.converters.side_files import (
    as_pose,
    brief,
    estimated_bytes,
    numbered_pictures,
    plain_name,
    read_grey,
    read_grey16,
    read_json,
    read_numbers,
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

_LISTS = ("nvs_list.json", "camera_eval_list.json")
_MILLIMETRE = 0.001


class WildRgbd:
    """Reads WildRGB-D."""

    name = "wildrgbd"
    licence = "MIT"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """One scene per folder with poses and pictures.

        Raises:
            ValueError: if there is none.
        """
        folders, problems = list(_scene_folders(source)), []
        trained: dict[Path, set[str] | None] = {}
        refused: set[Path] = set()
        scenes: list[Found] = []
        for folder in folders:
            missing = [name for name in ("metadata", "cam_poses.txt") if not (folder / name).is_file()]
            place = folder.relative_to(source).as_posix()
            if missing:
                problems.append(Problem(place=place, reason=f"it has no {' and no '.join(missing)}; unpack it again"))
                continue
            category = _category(folder)
            if category not in trained and category not in refused:
                at = Path(os.path.relpath(category, source)).as_posix()
                try:
                    trained[category] = _trained_on(category)
                except UnusableScene as error:
                    refused.add(category)
                    problems.append(Problem(place=at, reason=f"none of its scenes is used: {error}"))
                else:
                    problems += [Problem(place=at, reason=note) for note in _missing_lists(category)]
            if category in refused:
                continue
            pictures = numbered_pictures(folder / "rgb")
            names = trained[category]
            scenes.append(
                Found(
                    name=plain_name(category.resolve().name, folder.name),
                    place=place,
                    split="train" if names is None or folder.name in names else "held-out",
                    frames=len(pictures),
                    size=estimated_bytes(pictures.values()),
                )
            )
        if not folders:
            raise ValueError(
                f"{source} holds no WildRGB-D scenes: expected <category>/scenes/<scene>/ with rgb/, metadata and "
                "cam_poses.txt. Join and unpack the downloaded archives (zip -F, then unzip) first."
            )
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Describe one scene.

        Raises:
            UnusableScene: for damaged metadata, or if no frame has both picture and pose.
        """
        folder = source / found.place
        intrinsics, height, width = _read_metadata(folder / "metadata")
        poses = read_numbers(folder / "cam_poses.txt", 16)
        pictures, depths, masks = (numbered_pictures(folder / name) for name in ("rgb", "depth", "masks"))
        ids = sorted(pictures.keys() & poses.rows.keys())
        if not ids:
            raise UnusableScene("no frame has both a picture in rgb/ and a pose in cam_poses.txt.")
        left_out = sorted((pictures.keys() | poses.rows.keys()) - set(ids))
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="metric",
            frames=tuple(
                RawFrame(
                    picture=pictures[frame],
                    camera=RawCamera(
                        intrinsics=intrinsics,
                        world_from_camera=as_pose(poses.rows[frame]),
                        height=height,
                        width=width,
                    ),
                    depth=partial(_read_depth, depths[frame]) if frame in depths else None,
                    mask=partial(read_grey, masks[frame]) if frame in masks else None,
                )
                for frame in ids
            ),
            masks="foreground" if all(frame in masks for frame in ids) else None,
            labels={"category": _category(folder).resolve().name.replace("_", " ")},
            notes=(
                *_missing_lists(_category(folder)),
                *poses.notes,
                *((f"frames without picture or pose: {brief(left_out)}",) if left_out else ()),
            ),
        )


def _scene_folders(source: Path) -> Iterator[Path]:
    """Folders with pictures and a sign of this dataset; nothing below them is looked at."""
    for place, folders, files in os.walk(source):
        if "rgb" in folders and ("depth" in folders or "cam_poses.txt" in files):
            folders.clear()
            yield Path(place)
        folders.sort()


def _category(folder: Path) -> Path:
    return folder.parent.parent if folder.parent.name == "scenes" else folder.parent


def _trained_on(category: Path) -> set[str] | None:
    """The scenes that all lists of a category train on; None if it has no list.

    Raises:
        UnusableScene: if a list is damaged: what it holds out would be trained on.
    """
    lists = [_train_list(category / name) for name in _LISTS if (category / name).exists()]
    return set.intersection(*lists) if lists else None


def _train_list(path: Path) -> set[str]:
    content = read_json(path)
    parts = [content.get(part) for part in ("train", "val")] if isinstance(content, dict) else [None]
    if not all(isinstance(part, list) and all(isinstance(entry, str) for entry in part) for part in parts):
        raise UnusableScene(f"{path.name} has no lists of scenes under train and val; download it again.")
    train, held_out = ({Path(entry).name for entry in part or ()} for part in parts)
    return train - held_out


def _missing_lists(category: Path) -> tuple[str, ...]:
    missing = [name for name in _LISTS if not (category / name).exists()]
    if not missing:
        return ()
    return (f"its category has no {' and no '.join(missing)}: scenes to train on may be ones a benchmark tests on",)


def _read_metadata(path: Path) -> tuple[Float64[np.ndarray, "3 3"], int, int]:
    content = read_json(path)
    try:
        intrinsics = np.array(content["K"], dtype=np.float64).reshape(3, 3).T
        return intrinsics, int(content["h"]), int(content["w"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnusableScene(f"metadata must hold w, h and 9 numbers K ({error}).") from error


def _read_depth(path: Path) -> Float32[np.ndarray, "H W"]:
    return (read_grey16(path) * _MILLIMETRE).astype(np.float32)


CONVERTER = WildRgbd()
