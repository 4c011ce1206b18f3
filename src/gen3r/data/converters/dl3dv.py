"""DL3DV-10K: walks through real places, with COLMAP cameras in nerfstudio's format.

Layout: README and scripts/download.py of DL3DV-10K/Dataset; ``BATCH/HASH.zip`` or unzipped ``BATCH/HASH``, each with
transforms.json and images, images_2, images_4 or images_8; ``HASH/nerfstudio`` in the benchmark's own download.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gen3r.data.clip import Split
from gen3r.data.converters.pictures import left_out
from gen3r.data.converters.places import check_source, reason, subfolders, unusable
from gen3r.data.converters.scene_files import FolderFiles, SceneFiles, ZipFiles
from gen3r.data.converters.transforms_json import raw_camera
from gen3r.data.converting.raw import ConvertOptions, Findings, Found, Problem, RawFrame, RawScene, UnusableScene
from gen3r.scene.importing.nerfstudio import read_frames
from gen3r.scene.json_files import parse_json_object

TRANSFORMS = "transforms.json"
IMAGE_FOLDERS = ("images", "images_2", "images_4", "images_8")
"""Full size first: of those that are there, the one with most pictures is read, the first of equals."""
BENCHMARK_SCENES = 140
BENCHMARK_LIST = "benchmark-meta.csv"
_LIST_ADDRESS = "https://huggingface.co/datasets/DL3DV/DL3DV-Benchmark"
_HASH = re.compile(r"[0-9a-f]{64}")
_LISTED = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_LIST_FILES = re.compile(r".*benchmark.*\.(csv|txt|json)", re.IGNORECASE)
_HELD_OUT_FOLDERS = re.compile(r"benchmark|evaluation", re.IGNORECASE)
_BENCHMARK_LAYOUT = "nerfstudio"
_LARGEST_LIST = 16 << 20
"""Bytes; 140 hashes are 9 KB."""
_DEPTH = 4


@dataclass(frozen=True)
class DL3DV:
    """Scenes of DL3DV-ALL at any resolution, DL3DV-Benchmark and DL3DV-Evaluation."""

    name: str = "dl3dv"
    licence: str = "DL3DV-10K Terms of Use, CC-BY-NC-4.0"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """Folders and zips named by 64 hexadecimal digits.

        Scenes of the benchmark are those in a folder named so, those of the benchmark's own layout, and those whose
        hashes a file such as benchmark-meta.csv lists, in the source or beside it.

        Raises:
            ValueError: if there is no scene, and if nothing says which scenes the benchmark tests on, unless
                ``options.without_benchmark_list``.
        """
        check_source(source)
        places: dict[str, Path] = {}
        listed = _listed_benchmark(source)
        held_out = set(listed)
        problems: list[Problem] = []
        for place in _scenes(source, _DEPTH):
            name = place.absolute().name.removesuffix(".zip")
            if _is_held_out(source, place):
                held_out.add(name)
            if name in places:
                problems.append(_problem(source, place, f"found twice; {_relative(source, places[name])} is used"))
            else:
                places[name] = place
        if not places:
            raise ValueError(
                f"{source} holds no scene of DL3DV-10K; expected folders or zips named by 64 hexadecimal digits, such "
                "as 1K/HASH.zip or 1K/HASH/transforms.json."
            )
        problems += _unknown_benchmark(source, known=held_out, listed=listed, places=set(places), options=options)
        held_out &= set(places)
        scenes: list[Found] = []
        for name, place in sorted(places.items()):
            if name in held_out and not options.include_benchmarks:
                continue
            try:
                scenes.append(_found(source, name, place, "held-out" if name in held_out else "train"))
            except (ValueError, OSError) as error:
                problems.append(_problem(source, place, reason(source, error)))
        if held_out and not options.include_benchmarks:
            problems.append(
                Problem(place="benchmark", reason=f"{len(held_out)} benchmark scenes left out, as they should be")
            )
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Cameras scaled to the pictures that are there, which are matched by name and ordered by number."""
        with unusable(source):
            return self._read(found, _open(source / found.place))

    def _read(self, found: Found, files: SceneFiles) -> RawScene:
        where = Path(found.place) / TRANSFORMS
        entries = read_frames(where, parse_json_object(files.read(TRANSFORMS), str(where)))
        pictures = _pictures(files)
        frames: list[RawFrame] = []
        dropped: list[str] = []
        for entry in sorted(entries, key=lambda entry: _number(str(entry.values.get("file_path")))):
            name = PurePosixPath(str(entry.values.get("file_path"))).name
            picture = pictures.get(name)
            if picture is None:
                dropped.append(f"{name:.160} is missing")
                continue
            try:
                header = files.header(picture)
            except ValueError as error:
                dropped.append(str(error))
                continue
            camera = raw_camera(entry, header.size)
            frames.append(RawFrame(picture=files.picture(picture), camera=camera))
        if not frames:
            raise UnusableScene(f"none of its {len(entries)} pictures is there; the first: {dropped[0]}.")
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="unknown",
            frames=tuple(frames),
            notes=left_out(dropped, len(entries)),
        )


def _scenes(folder: Path, depth: int) -> Iterator[Path]:
    """Zips and folders of scenes; folders first, since an unzipped scene is faster to read."""
    if _HASH.fullmatch(folder.absolute().name):
        yield folder
    elif depth > 0:
        for child in subfolders(folder):
            yield from _scenes(child, depth - 1)
        yield from (file for file in sorted(folder.glob("*.zip")) if _HASH.fullmatch(file.stem))


def _open(place: Path) -> SceneFiles:
    """The scene's files, wherever in its folder or zip transforms.json is."""
    files = ZipFiles(place) if place.suffix == ".zip" else FolderFiles(place)
    found = [name for name in files.sizes() if PurePosixPath(name).name == TRANSFORMS]
    if not found:
        raise UnusableScene(f"it has no {TRANSFORMS}.")
    nearest = min(found, key=lambda name: (name.count("/"), name))
    return files.below(str(PurePosixPath(nearest).parent))


def _pictures(files: SceneFiles) -> Mapping[str, str]:
    """The pictures of the folder with most of them: their paths by name."""
    names = files.sizes()
    folders = [
        {PurePosixPath(name).name: name for name in names if str(PurePosixPath(name).parent) == folder}
        for folder in IMAGE_FOLDERS
    ]
    return max(folders, key=len)


def _number(name: str) -> tuple[int, str]:
    """``frame_00017.png`` -> 17."""
    digits = re.findall(r"\d+", PurePosixPath(name).stem)
    return (int(digits[-1]) if digits else -1, name)


def _found(source: Path, name: str, place: Path, split: Split) -> Found:
    files = _open(place)
    pictures = _pictures(files)
    if not pictures:
        raise UnusableScene(f"it has no pictures; expected a folder {', '.join(IMAGE_FOLDERS)}.")
    sizes = files.sizes()
    return Found(
        name=name,
        place=_relative(source, place),
        split=split,
        frames=len(pictures),
        size=sum(sizes[picture] for picture in pictures.values()),
    )


def _is_held_out(source: Path, place: Path) -> bool:
    parts = (source.absolute().name, *place.relative_to(source).parts)
    return any(_HELD_OUT_FOLDERS.search(part) for part in parts) or _has_benchmark_layout(place)


def _has_benchmark_layout(place: Path) -> bool:
    """Whether a folder or zip is one of DL3DV-Benchmark, by what is in it."""
    if place.suffix != ".zip":
        return (place / _BENCHMARK_LAYOUT).is_dir()
    try:
        names = ZipFiles(place).sizes()
    except ValueError:
        return False  # it is listed as damaged where it is read
    return any(_BENCHMARK_LAYOUT in PurePosixPath(name).parts for name in names)


def _listed_benchmark(source: Path) -> set[str]:
    """The hashes in files whose name says benchmark, in the source, its folders and beside it."""
    folders = [source.absolute().parent, source, *subfolders(source)]
    lists = [file for folder in folders for file in sorted(folder.iterdir()) if _LIST_FILES.fullmatch(file.name)]
    return {name for file in lists if file.is_file() for name in _LISTED.findall(_beginning(file).lower())}


def _beginning(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(_LARGEST_LIST).decode("utf-8", errors="replace")


def _unknown_benchmark(
    source: Path, *, known: set[str], listed: set[str], places: set[str], options: ConvertOptions
) -> list[Problem]:
    """A problem where not all scenes of the benchmark are known.

    Raises:
        ValueError: where there is no list at all, but scenes to train on, and the user did not say that this is fine.
    """
    if len(known) >= BENCHMARK_SCENES or not places - known:
        return []
    where = f"put {BENCHMARK_LIST} of {_LIST_ADDRESS} into the folder or beside it"
    if not listed and not options.without_benchmark_list:
        raise ValueError(
            f"{source} has no list of the {BENCHMARK_SCENES} scenes that the DL3DV benchmark tests on, which lie among "
            f"the others and must not be trained on: {where} (any .csv, .txt or .json whose name says benchmark and "
            "which holds their hashes), or say --without-benchmark-list to train on whatever is here."
        )
    told = f"only {len(known)} of the {BENCHMARK_SCENES} benchmark scenes are known, so others may be among those to "
    return [Problem(place=BENCHMARK_LIST, reason=f"{told}train on: {where}")]


def _relative(source: Path, place: Path) -> str:
    return place.relative_to(source).as_posix()


def _problem(source: Path, place: Path, reason: str) -> Problem:
    return Problem(place=_relative(source, place), reason=reason)


CONVERTER = DL3DV()
