"""ScanNet++: rooms photographed with a fisheye camera, registered to laser scans.

Layout: README of scannetpp/scannetpp; ``data/SCENE/dslr`` with nerfstudio/transforms.json (fisheye) and resized_images,
or nerfstudio/transforms_undistorted.json and resized_undistorted_images as the toolkit makes them; lists in splits.
Taken from public code that reads the data; no file of the dataset itself was seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gen3r.data.clip import Split
from gen3r.data.converters.nerfstudio import posed_frames
from gen3r.data.converters.places import check_source, picture_files, scene_folders, total_size, unusable
from gen3r.data.converting.raw import ConvertOptions, Findings, Found, Problem, RawScene, UnusableScene
from gen3r.scene.importing.nerfstudio import read_frames
from gen3r.scene.json_files import read_json_object

NERFSTUDIO = "dslr/nerfstudio"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One of the forms in which the pictures come."""

    transforms: str
    images: str
    masks: str
    """255 where pixels may be used."""


VARIANTS = (
    Variant(
        transforms="transforms_undistorted.json",
        images="resized_undistorted_images",
        masks="resized_undistorted_masks",
    ),
    Variant(
        transforms="transforms_undistorted.json",
        images="undistorted_images",
        masks="undistorted_anon_masks",
    ),
    Variant(transforms="transforms.json", images="resized_images", masks="resized_anon_masks"),
)
"""The first that is there is read: straight pictures need no warping."""
SPLIT_LISTS: Mapping[str, Split] = {"train": "train", "val": "validation", "test": "held-out"}
"""Of splits/nvs_sem_train.txt, nvs_sem_val.txt, nvs_test.txt: the name's last word, and our split."""
_TEST_VIEWS = "-test-views"


@dataclass(frozen=True)
class ScanNetPP:
    """The DSLR pictures of ScanNet++ (and of datasets laid out like it)."""

    name: str = "scannetpp"
    licence: str = "ScanNet++ Terms of Use, non-commercial"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """Folders with dslr/nerfstudio. Scenes on no list, or without lists, are train.

        Raises:
            ValueError: if there is no scene, and for damaged lists: what they hold out would be trained on.
        """
        check_source(source)
        splits = _splits(source)
        scenes: list[Found] = []
        problems = [Problem(place="splits", reason=note) for note in _missing_lists(source)]
        for folder in scene_folders(source, lambda folder: (folder / NERFSTUDIO).is_dir()):
            place = folder.relative_to(source).as_posix()
            variant = _variant(folder)
            if variant is None:
                wanted = " or ".join(f"dslr/{item.images} with {item.transforms}" for item in VARIANTS)
                problems.append(Problem(place=place, reason=f"expected {wanted}; unzip or download them"))
                continue
            name = folder.absolute().name
            split = splits.get(name, "train")
            files = picture_files(folder / "dslr" / variant.images)
            found = Found(name=name, place=place, split=split, frames=len(files), size=total_size(files))
            scenes.append(found)
            if options.include_benchmarks:
                scenes.append(Found(name=name + _TEST_VIEWS, place=place, split="held-out"))
        if not scenes and all(problem.place == "splits" for problem in problems):
            raise ValueError(f"{source} holds no scene of ScanNet++; expected folders data/SCENE/dslr/nerfstudio.")
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """The pictures taken along the way; those of test_frames, taken elsewhere, are a scene of their own."""
        folder = source / found.place
        variant = _variant(folder)
        if variant is None:
            raise UnusableScene("its pictures or its transforms.json are gone.")
        file = folder / NERFSTUDIO / variant.transforms
        with unusable(source):
            record = read_json_object(file)
            entries = read_frames(file, record, "test_frames" if found.name.endswith(_TEST_VIEWS) else "frames")
            good = [entry for entry in entries if not entry.values.get("is_bad")]
            frames, notes = posed_frames(
                file,
                record,
                good,
                source=source,
                pictures=lambda name: folder / "dslr" / variant.images / Path(name).name,
                masks=lambda name: folder / "dslr" / variant.masks / Path(name).name,
            )
        bad = len(entries) - len(good)
        blurred = (f"{bad} of {len(entries)} frames left out: marked is_bad",) if bad else ()
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="metric",
            frames=frames,
            masks="valid" if any(frame.mask for frame in frames) else None,
            labels={"place": "indoor room"},
            notes=(*_missing_lists(source), *blurred, *notes),
        )


def _variant(folder: Path) -> Variant | None:
    there = (
        item
        for item in VARIANTS
        if (folder / NERFSTUDIO / item.transforms).is_file() and picture_files(folder / "dslr" / item.images)
    )
    return next(there, None)


def _lists(source: Path) -> list[tuple[Path, Split]]:
    """Lists in splits in the source, in its parent (given its data), or two above (a scene)."""
    places = [source.absolute(), *source.absolute().parents[:2]]
    folder = next((place / "splits" for place in places if (place / "splits").is_dir()), None)
    files = sorted(folder.glob("nvs*.txt")) if folder else []
    words = [re.split(r"[_.]", file.stem)[-1] for file in files]
    return [(file, SPLIT_LISTS[word]) for file, word in zip(files, words, strict=True) if word in SPLIT_LISTS]


def _missing_lists(source: Path) -> tuple[str, ...]:
    there = {split for _, split in _lists(source)}
    missing = [f"nvs_*{word}.txt" for word, split in SPLIT_LISTS.items() if split not in there]
    if not missing:
        return ()
    return (f"there is no splits/{' and no '.join(missing)}: scenes to train on may be ones a benchmark tests on",)


def _splits(source: Path) -> Mapping[str, Split]:
    """Splits by scene; `ValueError` for a list that cannot be read."""
    splits: dict[str, Split] = {}
    for file, split in _lists(source):
        try:
            names = file.read_text(encoding="utf-8").split()
        except (OSError, ValueError) as error:
            raise ValueError(f"the list of scenes {file} is damaged ({error!s:.100}); download it again.") from error
        if not names:
            raise ValueError(f"the list of scenes {file} is empty; download it again.")
        splits |= dict.fromkeys(names, split)
    return splits


CONVERTER = ScanNetPP()
