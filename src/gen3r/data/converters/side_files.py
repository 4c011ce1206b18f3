"""The small files beside the pictures of a dataset: tables of numbers, grey pictures, folders of numbered pictures."""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8, UInt16
from PIL import Image, UnidentifiedImageError

from gen3r.data.converting.raw import UnusableScene
from gen3r.scene.limits import check_picture_size

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
_ROTATION_TOLERANCE = 1e-4
_LARGEST_TEXT = 256 << 20
"""Bytes that are read of one file of text."""
_UNREADABLE = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, kw_only=True)
class NumberTable:
    """Rows of numbers by the whole number they begin with."""

    rows: Mapping[int, Float64[np.ndarray, " C"]]
    """The numbers behind the first; in the order of the file."""
    notes: tuple[str, ...]
    """Lines that were not understood."""


def read_numbers(path: Path, columns: int, *, header: bool = False) -> NumberTable:
    """Read a text file whose lines are a whole number and ``columns`` more numbers, separated by white space.

    Lines of other lengths, with other words or numbers that are not finite are left out and noted; of lines with the
    same number the first counts.

    Raises:
        UnusableScene: if the file cannot be read.
    """
    rows: dict[int, np.ndarray] = {}
    bad: list[str] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if not words or (header and number == 1):
            continue
        try:
            values = np.array([float(word) for word in words])
        except ValueError:
            values = np.zeros(0)
        if len(values) != columns + 1 or not np.isfinite(values).all() or values[0] != int(values[0]):
            bad.append(str(number))
        else:
            rows.setdefault(int(values[0]), values[1:])
    return NumberTable(rows=rows, notes=(f"{path.name}: damaged lines {brief(bad)}",) if bad else ())


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        UnusableScene: if it is missing, unreadable, no text, or larger than 256 MB.
    """
    try:
        with path.open("rb") as file:
            return read_bounded(file, path.name).decode("utf-8")
    except FileNotFoundError as error:
        raise UnusableScene(f"{path.name} is missing.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UnusableScene(f"{path.name} cannot be read: {reason!s:.160}.") from error


def read_bounded(file: BufferedIOBase, name: str, most: int = _LARGEST_TEXT) -> bytes:
    """All of a file, or of what it unpacks to; `ValueError` if that is more than ``most`` bytes."""
    content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name} holds more than {most >> 20} MB")
    return content


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UnusableScene: if it is missing or no JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UnusableScene(f"{path.name} is no JSON: {error!s:.160}.") from error


def brief(items: Iterable[object], most: int = 5) -> str:
    """Some items in words: ``1, 2, 3 and 7 more``."""
    words = [str(item) for item in items]
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")


def is_rigid(matrix: Float64[np.ndarray, "4 4"]) -> bool:
    """Whether a matrix is a finite rotation and translation."""
    rotation = matrix[:3, :3]
    if not np.isfinite(matrix).all() or np.abs(rotation).max() > 2:
        return False
    return bool((np.abs(rotation @ rotation.T - np.eye(3)) < _ROTATION_TOLERANCE).all() and np.linalg.det(rotation) > 0)


def as_pose(numbers: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, "4 4"]:
    """A matrix from its first 12 numbers row by row; whatever a file holds as last row does not matter."""
    matrix = np.eye(4)
    matrix[:3] = numbers[:12].reshape(3, 4)
    return matrix


def numbered_pictures(folder: Path) -> dict[int, Path]:
    """The pictures of a folder by the last number in their names, in rising order; none if there is no folder."""
    found: dict[int, Path] = {}
    for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
        stem, suffix = os.path.splitext(name)
        number = re.search(r"\d+$", stem)
        if suffix.lower() in PICTURE_SUFFIXES and number and not name.startswith("."):
            found.setdefault(int(number.group()), folder / name)
    return dict(sorted(found.items()))


def estimated_bytes(pictures: Iterable[Path]) -> int | None:
    """Bytes of pictures, judged by the first one; None if there is none."""
    paths = list(pictures)
    try:
        return len(paths) * paths[0].stat().st_size if paths else None
    except OSError:
        return None


def picture_size(paths: Iterable[Path]) -> tuple[int, int]:
    """Height and width of the first picture whose header can be read.

    Raises:
        UnusableScene: if there is none.
    """
    reason = "there is none"
    for path in paths:
        try:
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                return picture.height, picture.width
        except _UNREADABLE as error:
            reason = str(error)
    raise UnusableScene(f"no picture can be read ({reason}).")


def read_grey(path: Path) -> UInt8[np.ndarray, "H W"]:
    """An 8-bit or 1-bit grey picture as 0..255.

    Raises:
        ValueError: if it is none.
    """
    return _read(path, ("1", "L", "P", "RGB", "RGBA"), "L").astype(np.uint8)


def read_grey16(path: Path) -> UInt16[np.ndarray, "H W"]:
    """A 16-bit grey PNG as it is.

    Raises:
        ValueError: if it is none.
    """
    return _read(path, ("I;16", "I;16B", "I"), None).astype(np.uint16)


def _read(path: Path, modes: tuple[str, ...], convert: str | None) -> np.ndarray:
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            check_picture_size(str(path), picture.height, picture.width)
            if picture.mode not in modes:
                raise ValueError(f"expected a grey picture of mode {' or '.join(modes)}, got {picture.mode}")
            return np.asarray(picture.convert(convert) if convert else picture)
    except _UNREADABLE as error:
        raise ValueError(f"{path} is not readable ({error}).") from error


def plain_name(*parts: str) -> str:
    """The parts joined by ``-``, with ``-`` for whatever a scene's name may not hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)).lstrip("-._") or "scene"
