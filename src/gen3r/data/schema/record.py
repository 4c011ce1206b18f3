"""What scene.json of a clip says: `ClipRecord`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from gen3r.data.clip import Split

FORMAT = "gen3r-clip"
VERSION = 2
"""Of this layout. Version 1 is read as well; other versions are refused."""
DEPTH_STEPS = 65535
"""Largest value in a depth picture."""
RECORD_FILE = "scene.json"
CAMERAS_FILE = "cameras.json"
CAPTIONS_FILE = "captions.txt"
CAPTION_FILE_OF_1 = "caption.txt"
"""The one caption of a clip of version 1."""
VIDEO_FILE = "frames.mp4"
FRAMES, DEPTH, MASKS = "frames", "depth", "masks"
"""Folders of pictures."""

ScaleKind = Literal["metric", "unknown"]
MaskKind = Literal["foreground", "valid"]
CaptionKind = Literal["none", "template", "given", "model"]
FramesKind = Literal["pictures", "video"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, kw_only=True)
class ClipRecord:
    """What scene.json says.

    Raises:
        ValueError: on construction, for the first field with an impossible value or type.
    """

    name: str
    """Of the clip, unique within its source; letters, digits, ``-``, ``_`` and ``.``."""
    split: Split
    """What the clip may be used for."""
    source: str
    """Who made the clip: the name of a dataset, or a generator."""
    licence: str
    """SPDX identifier, or the name of the dataset's terms."""
    scale_kind: ScaleKind
    """"metric": metres. "unknown": right up to one factor."""
    frames: int
    """Number of frames."""
    height: int
    """Image rows in pixels."""
    width: int
    """Image columns in pixels."""
    frames_kind: FramesKind = "pictures"
    """"pictures": frames/. "video": frames.mp4."""
    depth_scale: float | None = None
    """Depth per step of the 16-bit pictures, in the unit of the cameras; None: there is no depth."""
    masks: MaskKind | None = None
    """"foreground": 255 on the object. "valid": 255 where pixels may be used. None: there are no masks."""
    caption_kind: CaptionKind = "none"
    """"template": made from labels. "given": came with the data or from a user. "model": by a vision-language model."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What the dataset says of the scene, in plain words."""
    times: tuple[float, ...] | None = None
    """Seconds of every frame, from any origin; None: unknown."""
    seed: int | None = None
    """What a synthetic clip was made from."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    format: str = FORMAT
    """Always "gen3r-clip"."""
    version: int = VERSION
    """Of this layout."""

    def __post_init__(self) -> None:
        _check_fields({name: getattr(self, name) for name in _CHECKS})
        if self.times is not None and len(self.times) != self.frames:
            raise ValueError(f"times must be one per frame, got {len(self.times)} for {self.frames} frames.")

    def to_json(self) -> str:
        """As the text of scene.json."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return json.dumps(values | {"labels": dict(self.labels)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str, *, name_in_1: str = "") -> ClipRecord:
        """Read the text of a scene.json of version 1 or 2.

        Args:
            text: what the file holds.
            where: what errors name.
            name_in_1: name of a clip of version 1, whose file does not say it; its seed if this cannot be a name.

        Raises:
            ValueError: for no JSON, another format or version, and missing, unknown or impossible fields.
        """
        try:
            content: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where} is not valid JSON: {error}.") from error
        return cls.from_fields(content, where, name_in_1=name_in_1)

    @classmethod
    def from_fields(cls, content: Any, where: str, *, name_in_1: str = "") -> ClipRecord:
        """`from_json` of what was parsed already."""
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f'{where} describes no clip: expected a JSON object with "format": "{FORMAT}".')
        version = content.get("version")
        if version not in (1, VERSION) or isinstance(version, bool):
            raise ValueError(f"{where} has version {version!r}; this code reads 1 and {VERSION}, write it again.")
        content = {name: value for name, value in content.items() if name != "version"}
        required = {item.name for item in fields(cls)} & _REQUIRED if version == VERSION else _REQUIRED_IN_1
        missing = sorted(required - content.keys())
        if missing:
            raise ValueError(f"{where} lacks {', '.join(missing)}.")
        if version == 1:
            named = name_in_1 if _NAME.fullmatch(name_in_1) else f"seed-{content['seed']}"
            content = {"name": named} | content | {"caption_kind": "given"}
        known = {item.name for item in fields(cls)} - {"version"}
        unknown = sorted(content.keys() - known)
        if unknown and version == VERSION:
            raise ValueError(f"{where} has unknown fields {', '.join(unknown)}; notes and labels hold free text.")
        values = {name: content[name] for name in known & content.keys()}
        for name in ("times", "notes"):
            if isinstance(values.get(name), list):
                values[name] = tuple(values[name])
        try:
            _check_fields(values)
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error


def _check_fields(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        problem = _CHECKS[name](value)
        if problem:
            raise ValueError(f"{name} must be {problem}, got {value!r:.80}.")


def _one_of(*allowed: Any) -> Any:
    text = " or ".join(map(repr, allowed))
    return lambda value: "" if any(type(value) is type(a) and value == a for a in allowed) else text


def _count(smallest: int) -> Any:
    return lambda value: "" if type(value) is int and value >= smallest else f"a whole number, at least {smallest}"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and value else "a text"


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


_CHECKS: Mapping[str, Any] = {
    "format": _one_of(FORMAT),
    "version": _one_of(VERSION),
    "name": lambda v: "" if isinstance(v, str) and _NAME.fullmatch(v) else "letters, digits, '-', '_' and '.'",
    "split": _one_of(*get_args(Split)),
    "scale_kind": _one_of(*get_args(ScaleKind)),
    "frames_kind": _one_of(*get_args(FramesKind)),
    "caption_kind": _one_of(*get_args(CaptionKind)),
    "masks": _one_of(None, *get_args(MaskKind)),
    "frames": _count(1),
    "height": _count(1),
    "width": _count(1),
    "seed": lambda v: "" if v is None else _count(0)(v),
    "source": _text,
    "licence": _text,
    "depth_scale": lambda v: "" if v is None or (_finite(v) and v > 0) else "a positive number",
    "labels": lambda v: (
        ""
        if isinstance(v, Mapping) and all(isinstance(x, str) for pair in v.items() for x in pair)
        else "texts by name"
    ),
    "times": lambda v: (
        "" if v is None or (isinstance(v, tuple) and all(_finite(x) for x in v)) else "seconds of every frame"
    ),
    "notes": lambda v: "" if isinstance(v, tuple) and all(isinstance(x, str) for x in v) else "texts",
}
_REQUIRED = {"name", "split", "source", "licence", "scale_kind", "frames", "height", "width"}
_REQUIRED_IN_1 = {"split", "seed", "source", "licence", "scale_kind", "frames", "height", "width", "depth_scale"}
