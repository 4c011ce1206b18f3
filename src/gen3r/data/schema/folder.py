"""The clip folder: one clip with all its truth as files any tool can read. Version 1.

::

    CLIP/
      scene.json         what is below, and where it comes from
      frames/            frame00000.png ...: 8-bit sRGB, one file per frame, in natural order of the names
      depth/             frame00000.png ...: 16-bit grey; z-depth at pixel centres = value * depth_scale, 0 = no surface
      cameras.json       extrinsics (world-to-camera, OpenCV axes), intrinsics (pixels, centres at +0.5), size
      caption.txt        one line of UTF-8

``scene.json`` holds every field of `ClipRecord` by name. Depth and translations have the same unit: metres where
``scale_kind`` is "metric", else one unknown unit per clip. Frames may also be JPEG or WebP; depth must be PNG.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gen3r.data.clip import Clip, Split
from gen3r.scene.camera_files import read_cameras, write_cameras
from gen3r.scene.export.output_folder import whole_folder
from gen3r.scene.images import list_folder, read_image
from gen3r.scene.limits import check_picture_size

FORMAT = "gen3r-clip"
VERSION = 1
DEPTH_STEPS = 65535
"""Largest value in a depth picture."""
ScaleKind = Literal["metric", "unknown"]


@dataclass(frozen=True, kw_only=True)
class ClipRecord:
    """What scene.json says."""

    format: str = FORMAT
    """Always "gen3r-clip"."""
    version: int = VERSION
    """Of this layout; other versions are refused."""
    split: Split
    """What the clip may be used for."""
    seed: int
    """What a synthetic clip was made from; a number within its source for others."""
    source: str
    """Who made the clip: a generator, or the name of a dataset."""
    licence: str
    """SPDX identifier, or the name of the dataset's terms."""
    scale_kind: ScaleKind = "metric"
    """"metric": metres. "unknown": right up to one factor."""
    frames: int
    """Number of frames."""
    height: int
    """Image rows in pixels."""
    width: int
    """Image columns in pixels."""
    depth_scale: float
    """Depth per step of the 16-bit pictures, in the unit of the cameras."""

    def __post_init__(self) -> None:
        _check_fields(asdict(self))


def _check_fields(values: dict[str, Any]) -> None:
    """Raise `ValueError` for the first field of a record that has an impossible value or type."""
    choices = {
        "format": (FORMAT,),
        "version": (VERSION,),
        "split": get_args(Split),
        "scale_kind": get_args(ScaleKind),
    }
    for name, allowed in choices.items():
        value = values[name]
        if type(value) is not type(allowed[0]) or value not in allowed:
            raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, got {value!r}.")
    for name, smallest in {"seed": 0, "frames": 1, "height": 1, "width": 1}.items():
        value = values[name]
        if type(value) is not int or value < smallest:
            raise ValueError(f"{name} must be a whole number, at least {smallest}, got {value!r}.")
    for name in ("source", "licence"):
        if not isinstance(values[name], str) or not values[name]:
            raise ValueError(f"{name} must be a text, got {values[name]!r}.")
    scale = values["depth_scale"]
    if type(scale) not in (int, float) or not 0 < scale < float("inf"):
        raise ValueError(f"depth_scale must be a positive number, got {scale!r}.")


def write_clip(
    clip: Clip, folder: str | Path, *, split: Split, source: str, licence: str, scale_kind: ScaleKind = "metric"
) -> ClipRecord:
    """Write a clip as the new folder ``folder``, which appears whole or not at all.

    Depth is rounded to 1/65535 of the clip's largest; depths above 0 stay above 0. The rest is kept exactly.

    Raises:
        ValueError: if ``folder`` is a file, not empty or not writable, for depth that is negative or not finite, and
            for fields that `ClipRecord` refuses.
    """
    if not bool(torch.isfinite(clip.depth).all()) or bool((clip.depth < 0).any()):
        raise ValueError("depth must be finite and not negative (0 = no surface); mask the others to 0.")
    frames, height, width = clip.depth.shape
    largest = float(clip.depth.max())
    record = ClipRecord(
        split=split,
        seed=clip.seed,
        source=source,
        licence=licence,
        scale_kind=scale_kind,
        frames=frames,
        height=height,
        width=width,
        depth_scale=largest / DEPTH_STEPS if largest > 0 else 1.0,
    )
    with whole_folder(folder) as staging:
        _write_pictures(staging / "frames", clip.rgb.numpy())
        steps = (clip.depth.double().numpy() / record.depth_scale).round()
        steps = np.where(clip.depth.numpy() > 0, steps.clip(1, DEPTH_STEPS), 0)
        _write_pictures(staging / "depth", steps.astype(np.uint16))
        write_cameras(staging / "cameras.json", clip.cameras)
        (staging / "caption.txt").write_text(" ".join(clip.caption.split()) + "\n", encoding="utf-8")
        (staging / "scene.json").write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    return record


def read_record(folder: str | Path) -> ClipRecord:
    """Read scene.json alone.

    Raises:
        ValueError: if it is missing, no JSON, of another format or version, or lacks or misstates a field.
    """
    path = Path(folder) / "scene.json"
    if not path.is_file():
        raise ValueError(f"{folder} is not a clip folder: it has no scene.json; gen3r synth writes such folders.")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f'{path} describes no clip: expected a JSON object with "format": "{FORMAT}".')
    if content.get("version") != VERSION:
        raise ValueError(f"{path} has version {content.get('version')!r}; this code reads {VERSION}, write it again.")
    names = {field.name for field in fields(ClipRecord)}
    missing = sorted(names - content.keys())
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}.")
    values = {name: content[name] for name in names}
    values["depth_scale"] = _as_float(values["depth_scale"])
    try:
        _check_fields(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return ClipRecord(**values)


def _as_float(value: Any) -> Any:
    """JSON may write a whole float without its point."""
    return float(value) if type(value) is int else value


def read_clip(folder: str | Path) -> Clip:
    """Read a clip folder.

    Raises:
        ValueError: with the path and what is wrong, for anything that is missing, damaged, or disagrees with
            scene.json in number or size.
    """
    folder = Path(folder)
    record = read_record(folder)
    cameras = read_cameras(folder / "cameras.json")
    size = (record.frames, record.height, record.width)
    if (len(cameras), cameras.height, cameras.width) != size:
        raise ValueError(
            f"{folder / 'cameras.json'} has frames, height, width {(len(cameras), cameras.height, cameras.width)}, but "
            f"scene.json says {size}."
        )
    caption = folder / "caption.txt"
    if not caption.is_file():
        raise ValueError(f"{folder} lacks caption.txt; an empty one is fine.")
    return Clip(
        rgb=torch.stack([_read_frame(path, record) for path in _pictures(folder / "frames", record)]),
        depth=torch.stack([_read_depth(path, record) for path in _pictures(folder / "depth", record)]),
        cameras=cameras,
        caption=caption.read_text(encoding="utf-8").strip(),
        seed=record.seed,
    )


def clip_folders(folder: str | Path) -> list[Path]:
    """The clip folders directly inside ``folder``, by name; unfinished (hidden) ones are left out.

    Raises:
        ValueError: if there are none.
    """
    found = sorted(path.parent for path in Path(folder).glob("*/scene.json") if not path.parent.name.startswith("."))
    if not found:
        raise ValueError(f"{folder} holds no clip folders (folders with a scene.json); make some with gen3r synth.")
    return found


def _write_pictures(folder: Path, pictures: UInt8[np.ndarray, "F H W 3"] | np.ndarray) -> None:
    folder.mkdir()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"frame{index:05d}.png")


def _pictures(folder: Path, record: ClipRecord) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}.")
    paths = list_folder(folder)
    if len(paths) != record.frames:
        raise ValueError(f"{folder} holds {len(paths)} pictures, but scene.json says {record.frames} frames.")
    return paths


def _read_frame(path: Path, record: ClipRecord) -> UInt8[Tensor, "H W 3"]:
    image = read_image(path)
    _check_size(path, image.shape[1], image.shape[2], record)
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()


def _read_depth(path: Path, record: ClipRecord) -> Float[Tensor, "H W"]:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            check_picture_size(str(path), picture.height, picture.width)
            if not picture.mode.startswith("I"):
                raise ValueError(f"{path} must be a 16-bit grey PNG, got mode {picture.mode}.")
            _check_size(path, picture.height, picture.width, record)
            steps = np.asarray(picture, dtype=np.float64)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{path} is no readable PNG ({error}).") from error
    return torch.from_numpy((steps * record.depth_scale).astype(np.float32))


def _check_size(path: Path, height: int, width: int, record: ClipRecord) -> None:
    if (height, width) != (record.height, record.width):
        raise ValueError(f"{path} is {height}x{width}, but scene.json says {record.height}x{record.width}.")
