"""Writes MVImgNet trees: CLASS/INSTANCE with images, a SIMPLE_RADIAL model of shuffled ids, and masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene
from data.converters.raw_colmap import Model, write_colmap
from data.converters.raw_transforms import lens_pixels


def write_mvimgnet(
    root: Path, scene: DrawnScene, instance: str = "7/0000abcd", *, k: float = 0.02, masks: bool = False
) -> Path:
    """One instance; returns its folder."""
    model = Model(name="SIMPLE_RADIAL", extra=(k,))
    folder = write_colmap(root / instance, scene, model)
    if masks:
        (folder / "masks").mkdir()
        for frame in range(scene.frames):
            depth = scene.draw_depth(lens_pixels(scene, frame, model.bend), np.ones(len(scene.points)))
            Image.fromarray((depth > 0).astype(np.uint8) * 255).save(folder / "masks" / f"{frame + 1:03d}.jpg.png")
    return folder
