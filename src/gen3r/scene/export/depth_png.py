"""depth/: one 16-bit PNG per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gen3r.scene.export.source import ExportSource
from gen3r.scene.scene import depth_png_scale


def write(source: ExportSource, folder: Path) -> None:
    """Write depth/frame00000.png, ...: depth = value * scale, 0 = no surface.

    The scale is in scene.json and, as text `depth_scale`, in every PNG. Depths that would round to 0 become 1.
    """
    scene = source.scene
    scale = depth_png_scale(scene)
    target = folder / "depth"
    target.mkdir()
    info = PngInfo()
    info.add_text("depth_scale", repr(scale))
    for index, (depth, mask) in enumerate(zip(scene.depth.double().numpy(), scene.mask.numpy(), strict=True)):
        steps = np.where(mask, np.nan_to_num(depth / scale).round().clip(1, 65535), 0).astype(np.uint16)
        Image.fromarray(steps).save(target / f"frame{index:05d}.png", pnginfo=info)
