"""MVImgNet: objects filmed from half around them, with COLMAP models.

Layout: README of GAP-LAB-CUHK-SZ/MVImgNet; ``CLASS/INSTANCE/{images,sparse/0}``, masks beside images in version 2.0,
and class numbers named by mvimgnet_category.txt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gen3r.data.converters.colmap import find_models, registered_frames
from gen3r.data.converters.places import check_source, clip_name, picture_files, scene_folders, total_size, unusable
from gen3r.data.converting.raw import ConvertOptions, Findings, Found, Problem, RawScene, UnusableScene

IMAGES, MASKS = "images", "masks"
CATEGORY_FILE = "mvimgnet_category.txt"


@dataclass(frozen=True)
class MVImgNet:
    """Whatever was unpacked of mvi_00.zip to mvi_42.zip, of MVImgNet_by_categories, or of MVImgNet 2.0."""

    name: str = "mvimgnet"
    licence: str = "MVImgNet Terms of Use, non-commercial"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """Folders with images; those without a model are problems, of which the dataset has many."""
        check_source(source)
        scenes: list[Found] = []
        problems: list[Problem] = []
        for instance in scene_folders(source, lambda folder: (folder / IMAGES).is_dir()):
            place = instance.relative_to(source).as_posix()
            files = picture_files(instance / IMAGES)
            if not files:
                problems.append(Problem(place=place, reason="its images folder holds no pictures"))
            elif not find_models(instance):
                problems.append(Problem(place=place, reason="it has no COLMAP model in sparse/0: it has no cameras"))
            else:
                class_folder = instance.absolute().parent
                name = clip_name(class_folder.parent, instance.absolute())
                scenes.append(Found(name=name, place=place, split="train", frames=len(files), size=total_size(files)))
        if not scenes and not problems:
            raise ValueError(
                f"{source} holds no instance of MVImgNet; expected folders CLASS/INSTANCE with images and sparse/0."
            )
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Registered pictures in the order of their names, which is that of the video."""
        instance = source / found.place
        models = find_models(instance)
        if not models:
            raise UnusableScene("it has no COLMAP model in sparse/0.")
        with unusable(source):
            frames, notes = registered_frames(source, models[0], instance / MASKS)
            category = _categories(source).get(instance.absolute().parent.name)
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="unknown",
            frames=frames,
            masks="foreground" if any(frame.mask for frame in frames) else None,
            labels={} if category is None else {"category": category},
            notes=notes,
        )


def _categories(source: Path) -> Mapping[str, str]:
    """Names of the classes by number, from the file in the source or beside it; empty without it."""
    file = next((f / CATEGORY_FILE for f in (source, source.absolute().parent) if (f / CATEGORY_FILE).is_file()), None)
    if file is None:
        return {}
    pairs = (line.split(",", 1) for line in file.read_text(encoding="utf-8-sig").splitlines() if "," in line)
    return {number.strip(): name.strip() for number, name in pairs}


CONVERTER = MVImgNet()
