"""A user's own pictures, whose cameras are to be found: a folder of them, or a folder of such folders."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gen3r.data.converters.pictures import PictureHeader, left_out
from gen3r.data.converters.places import (
    check_raw,
    check_source,
    clip_name,
    picture_files,
    scene_folders,
    total_size,
    unusable,
)
from gen3r.data.converters.posed_pictures import MIN_PICTURES, pose_estimator, posed_frames
from gen3r.data.converting.raw import ConvertOptions, Findings, Found, Problem, RawScene


@dataclass(frozen=True)
class Pictures:
    """Each folder with pictures is a scene, in the natural order of their names."""

    name: str = "images"
    licence: str = "of its owner"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """Folders with pictures directly in them; `ValueError` for clips, which are converted already."""
        check_source(source)
        pose_estimator(options)
        if source.is_file():
            raise ValueError(f"{source} is a file; expected a folder of pictures (videos: gen3r data convert video).")
        scenes: list[Found] = []
        problems: list[Problem] = []
        check_raw(source.absolute().parent)
        for folder in scene_folders(source, _has_pictures):
            files = picture_files(folder)
            place = folder.relative_to(source).as_posix()
            if len(files) < MIN_PICTURES:
                reason = f"expected at least {MIN_PICTURES} pictures to find cameras from, got {len(files)}"
                problems.append(Problem(place=place, reason=reason))
                continue
            name = clip_name(source, folder)
            scenes.append(Found(name=name, place=place, split="train", frames=len(files), size=total_size(files)))
        if not scenes and not problems:
            raise ValueError(f"{source} holds no picture (PNG, JPEG or WebP), nor does a folder below it.")
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Pictures turned upright, with the cameras that were found for them."""
        files = picture_files(source / found.place)
        pictures: list[tuple[Path, PictureHeader]] = []
        dropped: list[str] = []
        for file in files:
            try:
                pictures.append((file, PictureHeader.read(file, file.name)))
            except ValueError as error:
                dropped.append(str(error))
        sizes = Counter(header.upright_size for _, header in pictures)
        usual = max(sizes, key=lambda size: sizes[size], default=None)
        kept = [(file, header) for file, header in pictures if header.upright_size == usual]
        others = len(pictures) - len(kept)
        notes = (f"{others} of {len(files)} frames left out: of another size than most",) if others else ()
        with unusable(source):
            frames, more = posed_frames(
                [file for file, _ in kept],
                [header.upright(file) for file, header in kept],
                [None] * len(kept),
                pose_estimator(options),
            )
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="unknown",
            frames=frames,
            notes=(*left_out(dropped, len(files)), *notes, *more),
        )


def _has_pictures(folder: Path) -> bool:
    check_raw(folder)
    return bool(picture_files(folder))


CONVERTER = Pictures()
