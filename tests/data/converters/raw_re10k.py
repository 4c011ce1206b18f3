"""Writes RealEstate10K: text files of normalised intrinsics and world-to-camera rows, frames by microseconds."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from data.converters.fixture import DrawnScene

CLIP = "0123456789abcdef"
UNIT = 3.7
"""Of the written poses: the dataset's scale is any."""
_URL = "https://www.youtube.com/watch?v=none"


def times(scene: DrawnScene) -> list[int]:
    """Microseconds of every frame."""
    return [42_009_000 + 33_367 * frame for frame in range(scene.frames)]


def camera_numbers(scene: DrawnScene, frame: int, *, inverted: bool = False) -> np.ndarray:
    """The 18 numbers behind the time; ``inverted`` gives the wrong poses."""
    pose = scene.world_from_camera[frame].copy()
    pose[:3, 3] *= UNIT
    written = pose if inverted else np.linalg.inv(pose)
    (fx, _, cx), (_, fy, cy) = scene.intrinsics[:2]
    normalised = [fx / scene.width, fy / scene.height, cx / scene.width, cy / scene.height, 0, 0]
    return np.array([*normalised, *written[:3].reshape(-1)])


def picture(scene: DrawnScene, frame: int, *, shrunk: int = 1) -> np.ndarray:
    """The frame by the formula of the dataset, ``shrunk`` times smaller."""
    height, width = scene.height // shrunk, scene.width // shrunk
    numbers = camera_numbers(scene, frame)
    fx, fy, cx, cy = numbers[:4]
    x, y, z = numbers[6:].reshape(3, 4) @ np.vstack([scene.points.T * UNIT, np.ones(len(scene.points))])
    pixels = np.stack([(fx * x / z + cx) * width, (fy * y / z + cy) * height], axis=1)
    return scene.draw(frame, pixels, (height, width))


def write_clip(
    root: Path,
    scene: DrawnScene,
    *,
    split: str = "test",
    clip: str = CLIP,
    suffix: str = ".png",
    shrunk: int = 1,
    missing: Collection[int] = (),
    inverted: bool = False,
) -> Path:
    """One clip with its frames beside the text file; returns the text file. ``missing`` frames are not written."""
    folder = root / split / clip
    folder.mkdir(parents=True)
    lines = [_URL]
    for frame, time in enumerate(times(scene)):
        numbers = camera_numbers(scene, frame, inverted=inverted)
        lines.append(f"{time} " + " ".join(f"{number:.9f}" for number in numbers))
        if frame not in missing:
            (folder / f"{time}{suffix}").write_bytes(_encoded(picture(scene, frame, shrunk=shrunk), suffix))
    text = root / split / f"{clip}.txt"
    text.write_text("\n".join(lines) + "\n")
    return text


def write_chunk(root: Path, scenes: dict[str, DrawnScene], *, split: str = "test") -> Path:
    """Clips as pixelSplat keeps them."""
    entries = [
        {
            "key": clip,
            "url": _URL,
            "timestamps": torch.tensor(times(scene)),
            "cameras": torch.from_numpy(np.stack([camera_numbers(scene, f) for f in range(scene.frames)])).float(),
            "images": [
                torch.frombuffer(bytearray(_encoded(picture(scene, f), ".jpg")), dtype=torch.uint8)
                for f in range(scene.frames)
            ],
        }
        for clip, scene in scenes.items()
    ]
    (root / split).mkdir(parents=True, exist_ok=True)
    torch.save(entries, root / split / "000000.torch")
    return root / split / "000000.torch"


def _encoded(pixels: np.ndarray, suffix: str) -> bytes:
    stream = io.BytesIO()
    kind, settings = ("PNG", {}) if suffix == ".png" else ("JPEG", {"quality": 95, "subsampling": 0})
    Image.fromarray(pixels).save(stream, kind, **settings)
    return stream.getvalue()
