"""One's own pictures and video of the scene, and somebody who knows the cameras."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene, make_scene
from gen3r.data.converting.raw import RawCamera

SCENE = make_scene(frames=3, width=64, height=48)


@dataclass(frozen=True)
class KnownPoses:
    """Finds the cameras of `SCENE`."""

    def __call__(self, pictures: tuple[Path, ...]) -> tuple[RawCamera, ...]:
        return tuple(
            RawCamera(intrinsics=SCENE.intrinsics, world_from_camera=pose, height=SCENE.height, width=SCENE.width)
            for pose in SCENE.world_from_camera[: len(pictures)]
        )


def write_pictures(folder: Path, scene: DrawnScene = SCENE) -> None:
    for frame in range(scene.frames):
        Image.fromarray(scene.draw(frame, scene.pixels(frame))).save(folder / f"photo{frame}.png")


def write_video(path: Path, scene: DrawnScene = SCENE) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv444p"
        stream.options = {"crf": "1"}
        for frame in range(scene.frames):
            pixels = np.ascontiguousarray(scene.draw(frame, scene.pixels(frame)))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode())
