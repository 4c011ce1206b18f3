"""The frames as single pictures, for the formats that refer to them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from gen3r.scene.scene import Scene

IMAGES_FOLDER = "images"


def frame_name(index: int) -> str:
    """File name of a frame's picture; sorts like the frames."""
    return f"frame{index:05d}.png"


def write_frames(scene: Scene, folder: Path) -> None:
    """Write images/frame00000.png, ... (8 bit, exact) into `folder`."""
    target = folder / IMAGES_FOLDER
    target.mkdir(parents=True)
    for index, frame in enumerate(scene.rgb):
        Image.fromarray(frame.numpy()).save(target / frame_name(index))
