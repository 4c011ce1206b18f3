"""rgb.mp4 and depth.mp4: the frames, and their depth in one range of colours for the whole clip."""

from __future__ import annotations

from pathlib import Path

from gen3r.scene.colormap import depth_colors, depth_range
from gen3r.scene.export.source import ExportSource
from gen3r.scene.export.video import write_h264


def write(source: ExportSource, folder: Path) -> None:
    """Encode the frames and the depth in order; bright is near, grey is no surface."""
    scene = source.scene
    write_h264(folder / "rgb.mp4", (frame.numpy() for frame in scene.rgb))
    near_far = depth_range(scene.depth, scene.mask)
    depth = (depth_colors(depth, mask, near_far) for depth, mask in zip(scene.depth, scene.mask, strict=True))
    write_h264(folder / "depth.mp4", depth)
