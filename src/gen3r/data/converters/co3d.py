"""CO3Dv2: objects filmed in a circle; poses by COLMAP, of no known scale.

::

    <category>/frame_annotations.jgz  sequence_annotations.jgz       gzip JSON lists
    <category>/set_lists/set_lists_<subset>.json
    <category>/<sequence>/{images/frame000001.jpg, depths/*.png, depth_masks/*.png, masks/*.png}

Cameras are PyTorch3D's: ``X_camera = X_world @ R + T``, x to the left and y up, focal length and principal point in
units of half the shorter side ("ndc_isotropic") or of half of each side ("ndc_norm_image_bounds"). Depth pictures hold
float16 numbers in 16 bits; ``scale_adjustment`` brings them to the unit of the poses. Frames are in the order of
``frame_number``, which need not be the number in the file's name. Sequences whose cameras are rated `LEAST_QUALITY` or
below, or not at all, are left out.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from gen3r.data.clip import Split
from gen3r.data.converters.co3d_annotations import FrameAnnotations, frame_annotations
from gen3r.data.converters.places import inside
from gen3r.data.converters.side_files import (
    brief,
    estimated_bytes,
    is_rigid,
    numbered_pictures,
    plain_name,
    read_bounded,
    read_grey,
    read_grey16,
    read_json,
)
from gen3r.data.converting.raw import (
    ConvertOptions,
    Findings,
    Found,
    Problem,
    RawCamera,
    RawFrame,
    RawScene,
    UnusableScene,
)

LEAST_QUALITY = 0.5
_NAME = re.compile(r"[^/\\\0]*[^/\\\0.][^/\\\0]*")
"""Of a folder."""
_FRAMES, _SEQUENCES = "frame_annotations.jgz", "sequence_annotations.jgz"
_WORDS = {
    "baseballbat": "baseball bat",
    "baseballglove": "baseball glove",
    "cellphone": "cell phone",
    "hairdryer": "hair dryer",
    "parkingmeter": "parking meter",
    "stopsign": "stop sign",
    "teddybear": "teddy bear",
    "toybus": "toy bus",
    "toyplane": "toy plane",
    "toytrain": "toy train",
    "toytruck": "toy truck",
    "wineglass": "wine glass",
}
"""Categories in plain words, where they are not."""
_OPENCV_FROM_PYTORCH3D = np.diag([-1.0, -1.0, 1.0])


class Co3d:
    """Reads CO3Dv2 and its single-sequence subset."""

    name = "co3d"
    licence = "CC-BY-NC-4.0"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """One scene per sequence of good quality.

        Raises:
            ValueError: if there is no category.
        """
        categories = sorted({path.parent for name in (_FRAMES, _SEQUENCES) for path in source.glob(f"*/{name}")})
        if not categories:
            raise ValueError(
                f"{source} is no CO3Dv2: expected <category>/{_FRAMES} and {_SEQUENCES} there; annotation paths count "
                "from this folder, so it must be the one that holds the categories."
            )
        scenes: list[Found] = []
        problems: list[Problem] = []
        for category in categories:
            missing = [name for name in (_FRAMES, _SEQUENCES) if not (category / name).is_file()]
            try:
                if missing:
                    raise UnusableScene(f"it has no {' and no '.join(missing)}.")
                sequences = _read_sequences(category / _SEQUENCES)
                splits = _splits(category / "set_lists")
            except UnusableScene as error:
                problems.append(Problem(place=category.name, reason=str(error)))
                continue
            problems += [Problem(place=category.name, reason=note) for note in _missing_lists(category)]
            for name, quality in sorted(sequences.items()):
                place = f"{category.name}/{name}"
                if not (category / name / "images").is_dir():
                    continue  # announced, but in an archive that was not downloaded
                if not isinstance(quality, int | float) or not quality > LEAST_QUALITY:
                    reason = f"its cameras are rated {quality}, above {LEAST_QUALITY} is asked for"
                    problems.append(Problem(place=place, reason=reason))
                    continue
                pictures = numbered_pictures(category / name / "images")
                scenes.append(
                    Found(
                        name=plain_name(category.name, name),
                        place=place,
                        split=splits.get(name, "train"),
                        frames=len(pictures),
                        size=estimated_bytes(pictures.values()),
                    )
                )
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Describe one scene.

        Raises:
            UnusableScene: if its annotations are damaged or none of its frames has a picture and a camera.
        """
        category, sequence = found.place.split("/")
        annotations: FrameAnnotations = frame_annotations(source / category / _FRAMES)
        frames: dict[int, RawFrame] = {}
        left_out: list[str] = []
        for record in annotations.of(sequence):
            try:
                number = int(record["frame_number"])
                frames.setdefault(number, _frame(source, record))
            except (UnusableScene, KeyError, TypeError, ValueError, AttributeError, OSError, OverflowError) as error:
                left_out.append(f"{record.get('frame_number')!s:.20} ({error!s:.200})")
        if not frames:
            raise UnusableScene(f"no frame has a picture and a camera: {brief(left_out, 2)}")
        ordered = tuple(frame for _, frame in sorted(frames.items()))
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="unknown",
            frames=ordered,
            masks="foreground" if all(frame.mask for frame in ordered) else None,
            labels={"category": _WORDS.get(category, category.replace("_", " "))},
            notes=(
                *_missing_lists(source / category),
                *((f"frames left out: {brief(left_out)}",) if left_out else ()),
            ),
        )


def _frame(source: Path, record: dict[str, Any]) -> RawFrame:
    image, depth, mask = record["image"], record.get("depth") or {}, record.get("mask") or {}
    picture = inside(source, source / image["path"], "a picture")
    if not picture.is_file():
        raise UnusableScene("no picture")
    height, width = (int(side) for side in image["size"])
    viewpoint = record["viewpoint"]
    if viewpoint is None:
        raise UnusableScene("no camera")
    time = record.get("frame_timestamp")
    depth_path = inside(source, source / depth["path"], "depth") if depth.get("path") else None
    mask_path = inside(source, source / mask["path"], "a mask") if mask.get("path") else None
    valid_path = inside(source, source / depth["mask_path"], "a mask") if depth.get("mask_path") else None
    return RawFrame(
        picture=picture,
        camera=RawCamera(
            intrinsics=_intrinsics(viewpoint, height, width),
            world_from_camera=_pose(viewpoint),
            height=height,
            width=width,
        ),
        depth=partial(_read_depth, depth_path, _scale(depth), valid_path)
        if depth_path and depth_path.is_file()
        else None,
        mask=partial(read_grey, mask_path) if mask_path and mask_path.is_file() else None,
        time=float(time) if isinstance(time, int | float) and math.isfinite(time) and time >= 0 else None,
    )


def _scale(depth: dict[str, Any]) -> float:
    scale = float(depth.get("scale_adjustment") or 1.0)
    if not 1e-6 < scale < 1e6:
        raise UnusableScene(f"impossible scale_adjustment {scale}")
    return scale


def _intrinsics(viewpoint: dict[str, Any], height: int, width: int) -> Float64[np.ndarray, "3 3"]:
    """From PyTorch3D's normalised focal length and principal point to pixels."""
    form = viewpoint.get("intrinsics_format") or "ndc_norm_image_bounds"
    sides = np.array([width, height], dtype=np.float64)
    unit = {"ndc_isotropic": np.full(2, sides.min() / 2), "ndc_norm_image_bounds": sides / 2}.get(form)
    if unit is None:
        raise UnusableScene(f"unknown intrinsics_format {form!r}")
    focal, center = (
        np.array(viewpoint[name], dtype=np.float64).reshape(2) for name in ("focal_length", "principal_point")
    )
    fx, fy = focal * unit
    cx, cy = sides / 2 - center * unit
    if not (np.isfinite([fx, fy, cx, cy]).all() and fx > 0 and fy > 0):
        raise UnusableScene("impossible focal length")
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _pose(viewpoint: dict[str, Any]) -> Float64[np.ndarray, "4 4"]:
    camera_from_world = np.eye(4)
    camera_from_world[:3, :3] = _OPENCV_FROM_PYTORCH3D @ np.array(viewpoint["R"], dtype=np.float64).reshape(3, 3).T
    camera_from_world[:3, 3] = _OPENCV_FROM_PYTORCH3D @ np.array(viewpoint["T"], dtype=np.float64).reshape(3)
    if not is_rigid(camera_from_world):
        raise UnusableScene("its camera is no rotation and translation")
    return np.linalg.inv(camera_from_world)


def _read_depth(path: Path, scale: float, valid: Path | None) -> Float32[np.ndarray, "H W"]:
    depth = read_grey16(path).view(np.float16).astype(np.float32) * np.float32(scale)
    depth = np.where(np.isfinite(depth) & (depth > 0), depth, 0)
    if valid is not None and valid.is_file():
        mask: UInt8[np.ndarray, "H W"] = read_grey(valid)
        if mask.shape != depth.shape:
            raise ValueError(f"{valid} is {mask.shape}, but its depth is {depth.shape}.")
        depth = np.where(mask > 0, depth, 0)
    return depth.astype(np.float32)


def _read_sequences(path: Path) -> dict[str, float | None]:
    """How well each sequence's cameras are rated."""
    try:
        with gzip.open(path, "rb") as file:
            records = json.loads(read_bounded(file, path.name))
        rated = {record["sequence_name"]: record.get("viewpoint_quality_score") for record in records}
        if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in rated):
            raise ValueError("a name that no folder can have")
        return rated
    except (OSError, EOFError, zlib.error, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise UnusableScene(f"{path.name} is damaged ({error!s:.160}); download it again.") from error


def _named(entry: Any) -> str:
    """The sequence of an entry of a list: its first item."""
    if not isinstance(entry, list) or not isinstance(entry[0], str):
        raise TypeError(f"expected lists that begin with a name, got {entry!r:.60}")
    return entry[0]


def _missing_lists(category: Path) -> tuple[str, ...]:
    if any((category / "set_lists").glob("set_lists_*.json")):
        return ()
    return ("its category has no set_lists: sequences to train on may be ones a benchmark tests on",)


def _splits(folder: Path) -> dict[str, Split]:
    """The split of every sequence that a list names.

    "val" and "test" of a fewview list are held out, whoever else trains on them, except that fewview_train tests on
    other frames of what it trains on. What the manyview lists name is held out as well, unless they are all there is:
    then this is the single-sequence subset, for trying things out, of which only manyview_test is held out.

    Raises:
        UnusableScene: if a list is damaged: what it holds out would be trained on.
    """
    found: dict[str, set[str]] = {"train": set(), "held-out": set(), "own": set(), "many": set()}
    any_fewview = False
    for path in sorted(folder.glob("set_lists_*.json")):
        fewview, own = "fewview" in path.name, "fewview_train" in path.name
        any_fewview |= fewview
        try:
            for part, entries in read_json(path).items():
                kind = "train" if part == "train" else "own" if own else "held-out"
                if not fewview:
                    kind = "held-out" if "_test" in path.name else "many"
                found[kind].update(_named(entry) for entry in entries)
        except (UnusableScene, AttributeError, TypeError, IndexError, KeyError) as error:
            raise UnusableScene(f"none of its sequences is used: {path.name} is damaged ({error!s:.100}).") from error
    held = found["held-out"] | (found["own"] - found["train"]) | (found["many"] if any_fewview else set())
    splits: dict[str, Split] = dict.fromkeys(sorted(found["train"] | found["many"]), "train")
    splits.update(dict.fromkeys(sorted(held), "held-out"))
    return splits


CONVERTER = Co3d()
