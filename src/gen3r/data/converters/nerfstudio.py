"""nerfstudio, instant-ngp and Blender projects: pictures and transforms.json, with lens, depth and masks.

One project, or a folder of projects. Where transforms_train.json, transforms_val.json and transforms_test.json take
the place of transforms.json, each is a scene of its split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from gen3r.data.clip import Split
from gen3r.data.converters.masks import read_mask
from gen3r.data.converters.pictures import PictureHeader, left_out
from gen3r.data.converters.places import check_source, clip_name, inside, reason, scene_folders, unusable
from gen3r.data.converters.transforms_json import raw_camera
from gen3r.data.converting.raw import ConvertOptions, Findings, Found, Problem, RawFrame, RawScene, UnusableScene
from gen3r.scene.export.nerfstudio import DEPTH_UNIT, DEPTH_UNIT_KEY, UNITS_KEY
from gen3r.scene.importing.depth import read_depth_png
from gen3r.scene.importing.nerfstudio import FrameEntry, camera_axes, picture_path, positive_number, read_frames
from gen3r.scene.json_files import read_json_object

TRANSFORMS = "transforms.json"
SPLIT_FILES: Mapping[str, tuple[str, Split]] = {
    "transforms_train.json": ("train", "train"),
    "transforms_val.json": ("val", "validation"),
    "transforms_test.json": ("test", "held-out"),
}
"""Blender's files: what their scenes' names end with, and their split."""


@dataclass(frozen=True)
class NerfstudioProjects:
    """A user's own captures in nerfstudio's format."""

    name: str = "nerfstudio"
    licence: str = "of its owner"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """Folders with transforms.json, or with Blender's files of splits; or one such file."""
        check_source(source)
        if source.is_file():
            raise ValueError(f"{source} is a file; expected the folder with {TRANSFORMS}, or a folder of such folders.")
        scenes: list[Found] = []
        problems: list[Problem] = []
        for project in scene_folders(source, lambda folder: bool(_files(folder))):
            for file, label, split in _files(project):
                place = file.relative_to(source).as_posix()
                try:
                    frames = len(read_frames(file, read_json_object(file)))
                except ValueError as error:
                    problems.append(Problem(place=place, reason=reason(source, error)))
                    continue
                scenes.append(Found(name=clip_name(source, project, *label), place=place, split=split, frames=frames))
        if not scenes and not problems:
            raise ValueError(f"{source} holds no {TRANSFORMS}; expected one there or in a folder below.")
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Frames in the natural order of their pictures' names."""
        file = source / found.place
        with unusable(source):
            record = read_json_object(file)
            frames, notes = posed_frames(
                file,
                record,
                read_frames(file, record),
                source=source,
                pictures=partial(picture_path, file),
                masks=lambda name: file.parent / name,
            )
        unordered = ("the views are in no temporal order",) if found.place.endswith(_UNORDERED) else ()
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="unknown",
            frames=frames,
            masks="valid" if any(frame.mask for frame in frames) else None,
            notes=(*notes, *unordered),
        )


_UNORDERED = ("transforms_train.json", "transforms_val.json")
"""Blender's cameras there are drawn at random; those of the test are an orbit."""


def posed_frames(
    file: Path,
    record: dict[str, Any],
    entries: list[FrameEntry],
    *,
    source: Path,
    pictures: Callable[[str], Path],
    masks: Callable[[str], Path],
) -> tuple[tuple[RawFrame, ...], tuple[str, ...]]:
    """Frames whose pictures are there, and notes on those that are not.

    Args:
        file: what was read.
        record: its content.
        entries: its frames.
        source: the folder that nothing may lead out of.
        pictures: where the picture of a name is.
        masks: where the mask of a name is.

    Raises:
        ValueError: for numbers that are missing or wrong, and lenses nobody knows.
        UnusableScene: if no picture is there, or a file outside ``source`` is named.
    """
    axes = camera_axes(file, record, "opengl")
    unit = positive_number(file, record, UNITS_KEY, 1.0)
    depth_scale = positive_number(file, record, DEPTH_UNIT_KEY, DEPTH_UNIT) / unit
    frames: list[RawFrame] = []
    dropped: list[str] = []
    for entry in entries:
        picture = inside(source, pictures(str(entry.values.get("file_path"))), "a picture")
        try:
            header = PictureHeader.read(picture, picture.name)
        except ValueError as error:
            dropped.append(str(error))
            continue
        mask = _present(source, entry, "mask_path", masks)
        depth = _present(source, entry, "depth_file_path", lambda name: file.parent / name)
        frames.append(
            RawFrame(
                picture=picture,
                camera=raw_camera(entry, header.size, axes, unit),
                depth=None if depth is None else partial(_depth, depth, depth_scale),
                mask=None if mask is None else partial(read_mask, mask),
            )
        )
    if not frames:
        raise UnusableScene(f"none of its {len(entries)} pictures is there; the first: {''.join(dropped[:1])}")
    return tuple(frames), left_out(dropped, len(entries))


def _present(source: Path, entry: FrameEntry, key: str, locate: Callable[[str], Path]) -> Path | None:
    """The file that an entry names, if it is there."""
    name = entry.values.get(key)
    path = inside(source, locate(name), f"a file ({key})") if isinstance(name, str) else None
    return path if path is not None and path.is_file() else None


def _depth(path: Path, scale: float) -> Float32[np.ndarray, "H W"]:
    return read_depth_png(path, scale=scale).numpy()


def _files(project: Path) -> list[tuple[Path, tuple[str, ...], Split]]:
    """The files of a project, what their scenes' names end with, and their splits."""
    if (project / TRANSFORMS).is_file():
        return [(project / TRANSFORMS, (), "train")]
    return [
        (project / name, (label,), split) for name, (label, split) in SPLIT_FILES.items() if (project / name).is_file()
    ]


CONVERTER = NerfstudioProjects()
