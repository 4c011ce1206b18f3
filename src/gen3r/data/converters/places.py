"""Where scenes lie in a tree, and what they are called."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from natsort import natsorted

from gen3r.data.converting.raw import UnusableScene
from gen3r.scene.images import IMAGE_SUFFIXES

_DEPTH = 5
"""Folders of scenes are looked for this far below the source."""
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def scene_folders(source: Path, is_scene: Callable[[Path], bool], depth: int = _DEPTH) -> Iterator[Path]:
    """Folders at or below ``source`` that are scenes, in natural order; nothing inside a scene is looked at."""
    if is_scene(source):
        yield source
    elif depth > 0:
        for folder in subfolders(source):
            yield from scene_folders(folder, is_scene, depth - 1)


def subfolders(folder: Path) -> list[Path]:
    """Folders directly below, hidden ones excepted, in natural order."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    return [folder / name for name in natsorted(names)]


def picture_files(folder: Path) -> list[Path]:
    """PNG, JPEG and WebP files directly in a folder, in natural order; none if there is no such folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file()]
    return [folder / name for name in natsorted(names) if _is_picture(name)]


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def clip_name(source: Path, place: Path, *more: str) -> str:
    """A clip's name: the folders from ``source`` to ``place`` joined by ``-``, or the source's own name.

    What a name may not hold becomes ``_``.
    """
    parts = place.relative_to(source).parts or (source.absolute().name,)
    name = _UNFIT.sub("_", "-".join([*parts, *more])).lstrip("._-")
    return name[:200] or "scene"


def total_size(files: list[Path]) -> int:
    """Bytes of files."""
    return sum(file.stat().st_size for file in files)


def inside(source: Path, path: Path, what: str) -> Path:
    """``path``, which some file of the dataset names; `UnusableScene` if it leads out of ``source``, links followed."""
    if not path.resolve().is_relative_to(source.resolve()):
        raise UnusableScene(f"it names {what} outside the folder: {str(path)!r:.160}; copy it into the folder.")
    return path


def check_source(source: Path) -> None:
    """Raise `ValueError` if there is nothing at ``source``."""
    if not source.exists():
        raise ValueError(f"{source} does not exist; expected the folder of the data.")


@contextmanager
def unusable() -> Iterator[None]:
    """What a reader of files cannot read becomes a scene that cannot be used."""
    try:
        yield
    except UnusableScene:
        raise
    except (ValueError, OSError) as error:
        raise UnusableScene(str(error)) from error
