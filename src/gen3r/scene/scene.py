"""`Scene`: one generated or reconstructed clip, as plain arrays with their cameras."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float32, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import unproject

ARRAYS_FILE = "scene.safetensors"
RECORD_FILE = "scene.json"
FORMAT = "gen3r-scene"
SCHEMA_VERSION = 1

_ARRAYS = {
    "rgb": torch.uint8,
    "depth": torch.float32,
    "confidence": torch.float32,
    "points": torch.float32,
    "mask": torch.bool,
    "extrinsics": torch.float32,
    "intrinsics": torch.float32,
}


class PixelAnchor(Enum):
    """Where on a pixel its ray starts, in pixels from the pixel's upper left corner."""

    CENTRE = 0.5
    """Pixel i covers [i, i+1] and looks through i + 0.5: the convention of the whole package."""
    INTEGER = 0.0
    """The official Gen3R point clouds, half a pixel away from its own rays. For parity only."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """F frames of H x W pixels seen from F known cameras. Tensors live on the CPU.

    World axes are OpenCV's (x right, y down, z forward); in a generated scene the world is the
    first camera. Lengths are in scene units, which are metres only if the model was metric.

    Raises `ValueError` for shapes, dtypes or values that contradict each other, for NaN or
    non-positive depth inside `mask`, and for provenance that JSON cannot hold.
    """

    rgb: UInt8[Tensor, "F H W 3"]
    """Colours, sRGB, 0..255."""
    depth: Float32[Tensor, "F H W"]
    """Distance along the viewing axis (z-depth), scene units; meaningful where `mask`."""
    confidence: Float32[Tensor, "F H W"]
    """How far to trust `depth`: larger is better, no fixed upper end."""
    points: Float32[Tensor, "F H W 3"]
    """World points from the model's point head, independent of `depth` and `cameras`."""
    mask: Bool[Tensor, "F H W"]
    """True where there is a surface."""
    cameras: Cameras
    """One camera per frame, world-to-camera."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Model, revision, seed, settings, versions, timings. JSON-able; string keys."""

    def __post_init__(self) -> None:
        for name in ("rgb", "depth", "confidence", "points", "mask"):
            object.__setattr__(self, name, getattr(self, name).detach().cpu().contiguous())
        object.__setattr__(self, "cameras", self.cameras.to(device="cpu", dtype=torch.float32))
        _check(self)

    @property
    def frames(self) -> int:
        return self.rgb.shape[0]

    @property
    def height(self) -> int:
        return self.rgb.shape[1]

    @property
    def width(self) -> int:
        return self.rgb.shape[2]

    def world_points(self, anchor: PixelAnchor = PixelAnchor.CENTRE) -> Float32[Tensor, "F H W 3"]:
        """World points from `depth` and `cameras`; more accurate than `points` in practice.

        Pixels outside `mask` get whatever their depth says: select with `mask`.
        """
        return unproject(self.depth, self.cameras, pixel_offset=anchor.value)

    def save(self, folder: str | Path) -> None:
        """Write `scene.safetensors` (every array, exact) and `scene.json` into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            "rgb": self.rgb,
            "depth": self.depth,
            "confidence": self.confidence,
            "points": self.points,
            "mask": self.mask,
            "extrinsics": self.cameras.extrinsics.contiguous(),
            "intrinsics": self.cameras.intrinsics.contiguous(),
        }
        record = {
            "format": FORMAT,
            "version": SCHEMA_VERSION,
            "frames": self.frames,
            "height": self.height,
            "width": self.width,
            "depth_png": {
                "scale": depth_png_scale(self),
                "meaning": "depth in scene units = PNG value * scale; 0 = no surface",
            },
            "provenance": self.provenance,
        }
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / RECORD_FILE).write_text(text + "\n", encoding="utf-8")
        save_file(arrays, folder / ARRAYS_FILE, metadata={"format": FORMAT, "version": str(SCHEMA_VERSION)})
        shutil.copymode(folder / RECORD_FILE, folder / ARRAYS_FILE)  # safetensors makes its files private

    @classmethod
    def load(cls, folder: str | Path) -> Scene:
        """Read what `save` wrote. Nothing is executed or unpickled.

        Raises `ValueError` for a missing or damaged file, another schema version, missing or
        unexpected arrays, wrong dtypes or shapes.
        """
        folder = Path(folder)
        record = _read_record(folder)
        arrays = _read_arrays(folder / ARRAYS_FILE)
        expected = (record["frames"], record["height"], record["width"])
        if tuple(arrays["depth"].shape) != expected:
            raise ValueError(
                f"{folder}: {RECORD_FILE} says frames, height, width = {expected} but {ARRAYS_FILE} holds depth of "
                f"shape {tuple(arrays['depth'].shape)}; the two files do not belong together."
            )
        cameras = Cameras(
            extrinsics=arrays.pop("extrinsics"),
            intrinsics=arrays.pop("intrinsics"),
            height=record["height"],
            width=record["width"],
        )
        return cls(**arrays, cameras=cameras, provenance=record["provenance"])


def depth_png_scale(scene: Scene) -> float:
    """Scene units per step of the 16-bit depth PNGs: the largest depth becomes 65535."""
    valid = scene.depth[scene.mask]
    return float(valid.max()) / 65535 if valid.numel() else 1.0


def _check(scene: Scene) -> None:
    if scene.rgb.ndim != 4 or scene.rgb.shape[-1] != 3 or scene.rgb.dtype != torch.uint8 or not scene.rgb.numel():
        raise ValueError(f"rgb must be uint8 [F, H, W, 3], not empty; got {scene.rgb.dtype} {tuple(scene.rgb.shape)}.")
    size = tuple(scene.rgb.shape[:3])
    for name, shape in (("depth", size), ("confidence", size), ("points", (*size, 3)), ("mask", size)):
        array: Tensor = getattr(scene, name)
        if tuple(array.shape) != shape or array.dtype != _ARRAYS[name]:
            raise ValueError(
                f"{name} must be {_ARRAYS[name]} of shape {shape} to match rgb; got {array.dtype} {tuple(array.shape)}."
            )
    camera_size = (*scene.cameras.extrinsics.shape[:-2], scene.cameras.height, scene.cameras.width)
    if camera_size != size:
        raise ValueError(f"cameras must be one per frame at the image size {size}; got {camera_size}.")
    scene.cameras.validate()
    valid_depth = scene.depth[scene.mask]
    if not bool((torch.isfinite(valid_depth) & (valid_depth > 0)).all()):
        raise ValueError("depth must be finite and positive wherever mask is True; clear the mask there first.")
    for name in ("points", "confidence"):
        if not bool(torch.isfinite(getattr(scene, name)[scene.mask]).all()):
            raise ValueError(f"{name} must be finite wherever mask is True; clear the mask there first.")
    try:
        json.dumps(scene.provenance, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"provenance must be JSON-able (finite numbers, str, bool, None, list, dict): {error}."
        ) from error


def _read_record(folder: Path) -> dict[str, Any]:
    path = folder / RECORD_FILE
    if not path.is_file():
        raise ValueError(f"no scene in {folder}: {RECORD_FILE} is missing. Expected a folder written by Scene.save.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{path} is not a Gen3R scene record: it needs format = {FORMAT!r}.")
    if record.get("version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {record.get('version')!r}, this Gen3R reads {SCHEMA_VERSION}; "
            "make the scene again or use the Gen3R that wrote it."
        )
    for key, kind in (("frames", int), ("height", int), ("width", int), ("provenance", dict)):
        if not isinstance(record.get(key), kind):
            raise ValueError(f"{path} needs {key!r} of type {kind.__name__}, got {record.get(key)!r}.")
    return record


def _read_arrays(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ValueError(f"no scene in {path.parent}: {path.name} is missing.")
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}.") from error
    missing, unexpected = sorted(_ARRAYS.keys() - arrays.keys()), sorted(arrays.keys() - _ARRAYS.keys())
    if missing or unexpected:
        raise ValueError(f"{path} does not hold a scene: missing arrays {missing}, unexpected arrays {unexpected}.")
    for name, dtype in _ARRAYS.items():
        if arrays[name].dtype != dtype:
            raise ValueError(f"{path}: {name} must be {dtype}, got {arrays[name].dtype}.")
    return arrays
