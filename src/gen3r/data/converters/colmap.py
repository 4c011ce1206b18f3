"""COLMAP projects: pictures and a sparse model, text or binary, of any camera model.

One project, or a folder of projects; a model in sparse/0, sparse/1, ... or sparse. Each model is a scene of its own,
since their worlds are not one; so is each folder of pictures, since a rig's cameras are not frames of one video.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pycolmap

from gen3r.data.converters.colmap_models import raw_camera
from gen3r.data.converters.masks import mask_beside
from gen3r.data.converters.pictures import PictureHeader, left_out
from gen3r.data.converters.places import (
    check_source,
    clip_name,
    inside,
    picture_files,
    scene_folders,
    subfolders,
    total_size,
    unusable,
)
from gen3r.data.converting.raw import ConvertOptions, Findings, Found, Problem, RawFrame, RawScene, UnusableScene
from gen3r.scene.importing.colmap import picture_folder, read_model

MODEL_FILES = ("images.bin", "images.txt")
MASKS = "masks"
"""Beside the pictures; black where COLMAP found no features, so white may be used."""
MODEL_FOLDERS = ("sparse", "colmap/sparse")
_SUBFOLDER = "::"
"""Between the model and its folder of pictures in ``Found.place``."""


@dataclass(frozen=True)
class ColmapProjects:
    """A user's own captures, posed by COLMAP."""

    name: str = "colmap"
    licence: str = "of its owner"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """Folders with a model in sparse."""
        check_source(source)
        scenes: list[Found] = []
        problems: list[Problem] = []
        for project in scene_folders(source, lambda folder: any((folder / name).is_dir() for name in MODEL_FOLDERS)):
            models = find_models(project)
            if not models:
                reason = f"its sparse folder holds no model; expected {' or '.join(MODEL_FILES)} in sparse/0 or sparse"
                problems.append(Problem(place=project.relative_to(source).as_posix(), reason=reason))
            for model in models:
                label = (model.name,) if len(models) > 1 else ()
                scenes += _scenes(source, project, model, label)
        if not scenes and not problems:
            raise ValueError(
                f"{source} holds no COLMAP project; expected folders with images and sparse/0, or such a folder itself."
            )
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Registered pictures in the natural order of their names."""
        place, _, subfolder = found.place.partition(_SUBFOLDER)
        model = source / place
        with unusable(source):
            frames, notes = registered_frames(source, model, picture_folder(model).parent / MASKS, subfolder or None)
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="unknown",
            frames=frames,
            masks="valid" if any(frame.mask for frame in frames) else None,
            notes=notes,
        )


def find_models(project: Path) -> list[Path]:
    """The models of a project: sparse/0, sparse/1, ..., else sparse itself."""
    for name in MODEL_FOLDERS:
        if (project / name).is_dir():
            models = [folder for folder in (*subfolders(project / name), project / name) if _is_model(folder)]
            return [folder for folder in models if folder != project / name] or models
    return []


def registered_frames(
    source: Path, model: Path, masks: Path, subfolder: str | None = None
) -> tuple[tuple[RawFrame, ...], tuple[str, ...]]:
    """Frames of a model, and notes on what is left out.

    Args:
        source: the folder that nothing may lead out of.
        model: the folder with its files.
        masks: the folder with masks, if there is one.
        subfolder: only images of this folder below the pictures'; left out, all.

    Raises:
        ValueError: for a damaged model.
        UnusableScene: if no picture of it is there, or one outside ``source`` is named.
    """
    reconstruction, images = read_model(model)
    folder = picture_folder(model)
    if subfolder is not None:
        images = [image for image in images if str(PurePosixPath(image.name).parent) == subfolder]
    frames: list[RawFrame] = []
    dropped: list[str] = []
    for image in images:
        path = inside(source, folder / image.name, "a picture")
        try:
            frame = _frame(path, image, reconstruction.cameras[image.camera_id])
        except ValueError as error:
            dropped.append(str(error))
        else:
            frames.append(dataclasses.replace(frame, mask=mask_beside(source, masks, image.name)))
    if not frames:
        raise UnusableScene(f"none of its {len(images)} registered pictures can be used; {''.join(dropped[:1])}")
    return tuple(frames), left_out(dropped, len(images))


def _frame(path: Path, image: pycolmap.Image, camera: pycolmap.Camera) -> RawFrame:
    header = PictureHeader.read(path, image.name)
    is_turned = (header.width > header.height) != (camera.width > camera.height)  # some versions of COLMAP turn them
    return RawFrame(
        picture=header.upright(path) if is_turned else path,
        camera=raw_camera(camera, image.cam_from_world(), header.upright_size if is_turned else header.size),
    )


def _scenes(source: Path, project: Path, model: Path, label: tuple[str, ...]) -> list[Found]:
    pictures = picture_folder(model)
    place = model.relative_to(source).as_posix()
    cameras = [folder for folder in subfolders(pictures) if picture_files(folder)] if pictures.is_dir() else []
    files = picture_files(pictures)
    if files or not cameras:
        name = clip_name(source, project, *label)
        return [Found(name=name, place=place, split="train", frames=len(files), size=total_size(files))]
    return [
        Found(
            name=clip_name(source, project, *label, folder.name),
            place=f"{place}{_SUBFOLDER}{folder.name}",
            split="train",
            frames=len(picture_files(folder)),
            size=total_size(picture_files(folder)),
        )
        for folder in cameras
    ]


def _is_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in MODEL_FILES)


CONVERTER = ColmapProjects()
