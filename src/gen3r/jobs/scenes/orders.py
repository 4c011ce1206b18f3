"""prompts.jsonl: one scene to be made per line, checked before any work."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gen3r.cameras.trajectories import TRAJECTORIES
from gen3r.jobs.work import content_hash
from gen3r.mistakes import did_you_mean
from gen3r.scene.files import check_file
from gen3r.scene.images import image_size, list_folder
from gen3r.scene.video_reader import VIDEO_SUFFIXES

LARGEST_SEED = 2**63 - 1
SHOWN = 5
"""So many wrong lines are told at once."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class SceneOrder:
    """A scene to be made."""

    id: str = ""
    """Name of its folder; left out, the hash of its content."""
    prompt: str = ""
    """What to see."""
    images: tuple[str, ...] = ()
    """Pictures, or one video or folder; absolute paths."""
    at: tuple[int, ...] = ()
    """Frame of each picture."""
    trajectory: str | None = None
    """Name of a camera path."""
    cameras: str | None = None
    """A file or folder of cameras; absolute path."""
    camera_scale: float | None = None
    """Mean depth of the first picture in the unit of the cameras."""
    seed: int | None = None
    """Left out, it follows from the content, so that every scene has noise of its own."""
    frames: int | None = None
    """4k+1; left out, the model's own."""
    size: tuple[int, int] | None = None
    """(height, width) in pixels; left out, the model's own."""
    steps: int | None = None
    """Denoising steps; left out, the model's own."""
    guidance: float | None = None
    """Weight of the text; left out, the model's own."""
    content: str = ""
    """Hash of all of the above but the name, with what is in the files."""

    def to_json(self) -> dict[str, Any]:
        """As a payload; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SceneOrder:
        """Back from a payload."""
        known: dict[str, Any] = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        known |= {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**known)


def read_orders(path: str | Path, defaults: SceneOrder | None = None, *, seed: int = 0) -> list[SceneOrder]:
    """The orders of a file, in its order; empty lines are passed over.

    Args:
        path: JSON objects, one a line, with the fields of `SceneOrder` but ``content``. Paths are relative to the file,
            a size is written "224x320".
        defaults: taken for what a line leaves out.
        seed: of the seeds that lines leave out.

    Raises:
        ValueError: with the line numbers, for whatever is wrong: no JSON, an unknown field, a value out of range, a
            file that is not there or no picture (by its header; a damaged one shows later), neither prompt nor images,
            two names that are equal; and for a file without orders.
    """
    path, defaults = Path(path), defaults or SceneOrder()
    if not path.is_file():
        raise ValueError(f"expected a file with one JSON object a line, but there is none at {path}; check the path.")
    orders: list[SceneOrder] = []
    lines: dict[str, int] = {}
    problems: list[str] = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            order = _finished(_read_line(line, path.resolve().parent, defaults), seed)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        if order.id in lines and order.id == order.content:  # the same request again: nobody named it
            order = replace(order, id=f"{order.content}-line{number}")
        if order.id in lines:
            problems.append(f"line {number}: the id {order.id!r} is that of line {lines[order.id]} already.")
        lines[order.id] = number
        orders.append(order)
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise ValueError(f"{path} has lines that cannot be used{more}: {' '.join(problems[:SHOWN])}")
    if not orders:
        raise ValueError(f"{path} is empty; write one JSON object a line, such as " + '{"prompt": "a red ball"}.')
    return orders


def _read_line(line: bytes, folder: Path, defaults: SceneOrder) -> SceneOrder:
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON ({error}).") from error
    if not isinstance(values, dict):
        raise ValueError(f"expected a JSON object, got {type(values).__name__}.")
    for name in values:
        if name not in _READERS:
            raise ValueError(f"unknown field {name!r};{did_you_mean(name, _READERS)} known: {', '.join(_READERS)}.")
    given: dict[str, Any] = {}
    for name, value in values.items():
        try:
            given[name] = _READERS[name](value, folder)
        except _Expected as expected:
            raise ValueError(f"{name} must be {expected}, got {value!r:.80}.") from None
    if {"trajectory", "cameras"} <= given.keys():
        raise ValueError("trajectory and cameras exclude each other; name one.")
    if given.keys() & {"trajectory", "cameras"}:
        defaults = replace(defaults, trajectory=None, cameras=None, camera_scale=None)
    order = replace(defaults, **given)
    if not order.prompt and not order.images:
        raise ValueError("neither prompt nor images; say or show what to make.")
    if order.at and len(order.at) != len(order.images):
        raise ValueError(f"at has {len(order.at)} frames for {len(order.images)} images; give one for each.")
    if order.camera_scale is not None and order.cameras is None:
        raise ValueError("camera_scale goes with cameras, whose unit it explains; leave it out.")
    return order


def _finished(order: SceneOrder, seed: int) -> SceneOrder:
    """The order with its hash, its seed and its name."""
    known = order.to_json() | {
        "id": None,
        "images": [_file_hash(Path(image)) for image in order.images],
        "cameras": None if order.cameras is None else _file_hash(Path(order.cameras)),
    }
    if order.seed is None:
        own = hashlib.sha256(f"{seed} {content_hash(known)}".encode()).digest()
        order = replace(order, seed=int.from_bytes(own[:4], "big") >> 1)
    content = content_hash(known | {"seed": order.seed})
    return replace(order, content=content, id=order.id or content)


def _file_hash(path: Path) -> str:
    """Of a file's bytes; of a folder, of all files below it and their names."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return content_hash([[file.relative_to(path).as_posix(), _file_hash(file)] for file in files])


class _Expected(Exception):
    """What a field should have been."""


def _text(value: Any, folder: Path) -> str:
    return _checked(value, _is_text(value), "a text of whole characters")


def _is_text(value: Any) -> bool:
    """JSON can hold halves of characters, which no file can."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _name(value: Any, folder: Path) -> str:
    usable = isinstance(value, str) and _NAME.fullmatch(value) is not None
    return _checked(value, usable, "a name of letters, digits, '-', '_' and '.'")


def _images(value: Any, folder: Path) -> tuple[str, ...]:
    _checked(value, isinstance(value, list) and all(map(_is_text, value)), "a list of paths")
    paths = tuple(_existing(item, folder) for item in value)
    for path in map(Path, paths):
        if path.is_dir():
            list_folder(path)
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            check_file(path)
        else:
            image_size(path)
    return paths


def _path(value: Any, folder: Path) -> str:
    return _existing(_text(value, folder), folder)


def _existing(word: str, folder: Path) -> str:
    path = folder / word
    if not path.exists():
        raise ValueError(f"there is nothing at {path}.")
    return str(path)


def _frame_list(value: Any, folder: Path) -> tuple[int, ...]:
    usable = isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
    return tuple(_checked(value, usable, "a list of frame indices"))


def _trajectory(value: Any, folder: Path) -> str:
    if not isinstance(value, str) or value not in TRAJECTORIES:
        raise ValueError(
            f"unknown trajectory {value!r};{did_you_mean(str(value), TRAJECTORIES)} known: "
            f"{', '.join(sorted(TRAJECTORIES))}."
        )
    return value


def _size(value: Any, folder: Path) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value) if isinstance(value, str) else None
    if match is None:
        raise _Expected('HEIGHTxWIDTH in pixels such as "224x320"')
    return int(match[1]), int(match[2])


def _whole(usable: Callable[[int], bool], expected: str) -> Callable[[Any, Path], int]:
    return lambda value, folder: _checked(value, type(value) is int and usable(value), expected)


def _number(usable: Callable[[float], bool], expected: str) -> Callable[[Any, Path], float]:
    return lambda value, folder: float(_checked(value, type(value) in (int, float) and usable(value), expected))


def _checked(value: Any, usable: bool, expected: str) -> Any:
    if not usable:
        raise _Expected(expected)
    return value


_READERS: Mapping[str, Callable[[Any, Path], Any]] = MappingProxyType(
    {
        "id": _name,
        "prompt": _text,
        "images": _images,
        "at": _frame_list,
        "trajectory": _trajectory,
        "cameras": _path,
        "camera_scale": _number(lambda value: 0 < value < float("inf"), "a positive number"),
        "seed": _whole(lambda value: 0 <= value <= LARGEST_SEED, f"a whole number from 0 to {LARGEST_SEED}"),
        "frames": _whole(lambda value: value >= 1 and value % 4 == 1, "a whole number 4k+1"),
        "size": _size,
        "steps": _whole(lambda value: value >= 1, "a whole number, at least 1"),
        "guidance": _number(lambda value: abs(value) < float("inf"), "a finite number"),
    }
)
