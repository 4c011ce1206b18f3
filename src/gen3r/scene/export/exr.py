"""depth_exr/: one OpenEXR picture of exact depth per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR

from gen3r.scene.export.source import ExportSource

_HEADER = {
    "compression": OpenEXR.ZIP_COMPRESSION,
    "type": OpenEXR.scanlineimage,
    "depthUnits": "scene units",
    "depthMeaning": "distance along the viewing axis at pixel centres; 0 = no surface",
}


def write(source: ExportSource, folder: Path) -> None:
    """Write depth_exr/frame00000.exr, ...: one float32 channel Z, what it means in the header, lossless."""
    target = folder / "depth_exr"
    target.mkdir()
    scene = source.scene
    for index, (depth, mask) in enumerate(zip(scene.depth.numpy(), scene.mask.numpy(), strict=True)):
        channels = {"Z": np.where(mask, depth, np.float32(0))}
        OpenEXR.File(dict(_HEADER), channels).write(str(target / f"frame{index:05d}.exr"))
