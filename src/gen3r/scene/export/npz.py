"""scene.npz: every array of the scene for numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gen3r.scene.export.source import ExportSource

CONVENTIONS = """\
F frames of H x W pixels; world axes are OpenCV's: x right, y down, z forward; lengths in scene units.
rgb         uint8   [F, H, W, 3]  sRGB
depth       float32 [F, H, W]     distance along the viewing axis; meaningful where mask
confidence  float32 [F, H, W]     larger is better, no fixed upper end
mask        bool    [F, H, W]     there is a surface
keep        bool    [F, H, W]     the surface survives cleaning
points      float32 [F, H, W, 3]  world points from depth and cameras; zero outside mask
extrinsics  float32 [F, 4, 4]     world to camera
intrinsics  float32 [F, 3, 3]     pixels; pixel (row, column) looks through (column + 0.5, row + 0.5)
"""


def write(source: ExportSource, folder: Path) -> None:
    """Write the arrays as they are, uncompressed; `numpy.load` needs no pickle."""
    scene = source.scene
    mask = scene.mask.numpy()
    np.savez(
        folder / "scene.npz",
        rgb=scene.rgb.numpy(),
        depth=scene.depth.numpy(),
        confidence=scene.confidence.numpy(),
        mask=mask,
        keep=source.keep.numpy(),
        points=np.where(mask[..., None], scene.world_points().numpy(), np.float32(0)),
        extrinsics=scene.cameras.extrinsics.numpy(),
        intrinsics=scene.cameras.intrinsics.numpy(),
        conventions=np.array(CONVENTIONS),
    )
