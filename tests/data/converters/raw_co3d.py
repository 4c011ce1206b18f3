"""Writes a CO3Dv2 category by PyTorch3D's formulas: row vectors, x to the left, y up, normalised intrinsics."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene

UNIT = 3.7
"""Of the written poses: CO3D's scale is any."""
ADJUSTMENT = 1.5
_TILT, _OFFSET = np.array([[0.8, 0, 0.6], [0.36, 0.8, -0.48], [-0.48, 0.6, 0.64]]), np.array([3.0, -1.0, 2.0])
"""From the drawn world to the written one, so that no rotation is its own inverse."""


def write_sequence(
    root: Path,
    scene: DrawnScene,
    *,
    category: str = "apple",
    sequence: str = "110_13051_23361",
    isotropic: bool = True,
    file_numbers: Sequence[int] | None = None,
    columns: bool = False,
) -> list[dict[str, Any]]:
    """Pictures, depth and masks of one sequence; returns its frame annotations, for `write_annotations`.

    Args:
        isotropic: which of the two forms the intrinsics have.
        file_numbers: number in the file's name of every frame.
        columns: write R for column vectors, which is wrong.
    """
    height, width = scene.height, scene.width
    unit = np.full(2, min(height, width) / 2) if isotropic else np.array([width, height]) / 2
    focal = np.diag(scene.intrinsics)[:2] / unit
    center = (np.array([width, height]) / 2 - scene.intrinsics[:2, 2]) / unit
    records = []
    for frame, pose in enumerate(scene.world_from_camera):
        right, down, ahead, place = _TILT @ pose[:3].T[..., None]
        left_up_ahead = np.concatenate([-right, -down, ahead], axis=1)
        translation = -(place[:, 0] + _OFFSET) @ left_up_ahead * UNIT
        seen = (scene.points @ _TILT.T + _OFFSET) * UNIT @ left_up_ahead + translation
        normalised = focal * seen[:, :2] / seen[:, 2:] + center
        pixels = np.array([width, height]) / 2 - normalised * unit
        number = (file_numbers or range(scene.frames))[frame] + 1
        place = f"{category}/{sequence}"
        names = {
            "images": f"{place}/images/frame{number:06d}.jpg",
            "depths": f"{place}/depths/frame{number:06d}.jpg.geometric.png",
            "depth_masks": f"{place}/depth_masks/frame{number:06d}.png",
            "masks": f"{place}/masks/frame{number:06d}.png",
        }
        for name in names.values():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        depth = scene.draw_depth(pixels, seen[:, 2])
        stored = (depth / ADJUSTMENT).astype(np.float16)
        stored[0, :2] = np.inf, np.nan
        stored[1, 0] = 7.0  # which the mask of valid depth denies
        valid = np.ones(depth.shape, dtype=bool)
        valid[1, 0] = False
        Image.fromarray(scene.draw(frame, pixels)).save(root / names["images"], quality=95, subsampling=0)
        Image.fromarray(stored.view(np.uint16)).save(root / names["depths"])
        Image.fromarray(valid).save(root / names["depth_masks"])
        Image.fromarray(np.where(depth > 0, 230, 0).astype(np.uint8)).save(root / names["masks"])
        records.append(
            {
                "sequence_name": sequence,
                "frame_number": frame,
                "frame_timestamp": frame / 10,
                "image": {"path": names["images"], "size": [height, width]},
                "depth": {
                    "path": names["depths"],
                    "scale_adjustment": ADJUSTMENT,
                    "mask_path": names["depth_masks"],
                },
                "mask": {"path": names["masks"], "mass": 1.0},
                "viewpoint": {
                    "R": (left_up_ahead.T if columns else left_up_ahead).tolist(),
                    "T": translation.tolist(),
                    "focal_length": focal.tolist(),
                    "principal_point": center.tolist(),
                    "intrinsics_format": "ndc_isotropic" if isotropic else "ndc_norm_image_bounds",
                },
                "meta": None,
            }
        )
    return records


def write_annotations(
    root: Path, records: Sequence[dict[str, Any]], *, category: str = "apple", quality: dict[str, float | None]
) -> None:
    """The two annotation files of a category. ``quality``: how the cameras of every sequence are rated."""
    sequences = [
        {"sequence_name": name, "category": category, "viewpoint_quality_score": score}
        for name, score in quality.items()
    ]
    for name, content in (("frame", list(records)), ("sequence", sequences)):
        with gzip.open(root / category / f"{name}_annotations.jgz", "wt") as file:
            json.dump(content, file)


def write_list(root: Path, subset: str, *, category: str = "apple", **parts: Sequence[str]) -> None:
    """A set list: sequences under ``train``, ``val`` and ``test``."""
    folder = root / category / "set_lists"
    folder.mkdir(exist_ok=True)
    content = {
        part: [[name, 0, f"{category}/{name}/images/frame000001.jpg"] for name in parts.get(part, ())]
        for part in ("train", "val", "test")
    }
    (folder / f"set_lists_{subset}.json").write_text(json.dumps(content))
