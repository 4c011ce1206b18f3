"""Where scenes lie in a tree, and what they are called."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from natsort import natsorted

from gen3r.data.converting.raw import UnusableScene
from gen3r.data.schema.record import FORMAT as CLIP_FORMAT
from gen3r.data.schema.record import RECORD_FILE
from gen3r.data.shards.index import FORMAT as SHARDS_FORMAT
from gen3r.data.shards.index import INDEX_SUFFIX
from gen3r.scene.images import IMAGE_SUFFIXES

_DEPTH = 5
"""Folders of scenes are looked for this far below the source."""
_START = 1 << 16
"""Bytes of a file that say what it is."""
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


def check_raw(folder: Path) -> None:
    """Raise `ValueError` if a folder is a clip, or holds packed clips: what was converted is not raw."""
    files = [folder / RECORD_FILE, *sorted(folder.glob(f"*{INDEX_SUFFIX}"))]
    for file in files:
        if file.is_file():
            with file.open("rb") as opened:
                start = opened.read(_START)
            if any(f'"{name}"'.encode() in start for name in (CLIP_FORMAT, SHARDS_FORMAT)):
                raise ValueError(
                    f"{folder} is converted already ({file.name:.160} says so): train on it as it is, or give the "
                    "folder of the original pictures."
                )


def check_source(source: Path) -> None:
    """Raise `ValueError` if there is nothing at ``source``."""
    if not source.exists():
        raise ValueError(f"{source} does not exist; expected the folder of the data.")


@contextmanager
def unusable(source: Path) -> Iterator[None]:
    """What a reader of files below ``source`` cannot read becomes a scene that cannot be used."""
    try:
        yield
    except UnusableScene:
        raise
    except (ValueError, OSError) as error:
        raise UnusableScene(reason(source, error)) from error


def reason(source: Path, error: Exception) -> str:
    """What an error says, with paths as seen from ``source``, and not without end."""
    return f"{str(error).replace(f'{source}/', ''):.500}"
