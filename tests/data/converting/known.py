"""A dataset in memory, for tests of what is done with any dataset."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene, make_scene
from gen3r.data.converting.raw import ConvertOptions, Findings, Found, Lens, RawCamera, RawFrame, RawScene
from gen3r.data.converting.scene import ConvertedScene, convert_scene
from gen3r.data.converting.settings import ConvertSettings

SCENE = make_scene(frames=6, width=64, height=48)
FOUND = Found(name="one", place="one", split="train")


@dataclass(frozen=True, kw_only=True)
class KnownDataset:
    """Holds one scene."""

    scene: RawScene
    name: str = field(default="known", init=False)
    licence: str = field(default="CC0-1.0", init=False)

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        return Findings(scenes=(FOUND,))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        return self.scene


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def raw_scene(
    drawn: DrawnScene = SCENE,
    *,
    lens: Lens | None = None,
    pixels: Callable[[int], np.ndarray] | None = None,
    world: np.ndarray | None = None,
    **more: Any,
) -> RawScene:
    """The drawn scene with depth and masks of the dots.

    Args:
        lens: of the cameras.
        pixels: where the lens puts the dots of a frame; a pinhole if left out.
        world: world-from-drawn-world [4,4].
    """
    pixels = pixels or drawn.pixels
    world = np.eye(4) if world is None else world
    frames = []
    for frame in range(drawn.frames):
        camera = RawCamera(
            intrinsics=drawn.intrinsics,
            world_from_camera=world @ drawn.world_from_camera[frame],
            height=drawn.height,
            width=drawn.width,
            lens=lens,
        )
        depth = drawn.draw_depth(pixels(frame), drawn.camera_points(frame)[:, 2])
        picture = encoded(drawn.draw(frame, pixels(frame)))
        mask = np.where(depth > 0, 255, 0).astype(np.uint8)
        frames.append(
            RawFrame(
                picture=partial(bytes, picture),
                camera=camera,
                depth=partial(np.copy, depth),
                mask=partial(np.copy, mask),
                time=frame / 10,
            )
        )
    described = RawScene(
        name="one",
        split="train",
        scale_kind="metric",
        frames=tuple(frames),
        masks="foreground",
        labels={"scene": "dots"},
    )
    return replace(described, **more)


def convert(
    scene: RawScene, destination: Path, prompts: dict | None = None, source: Path | None = None, **settings: Any
) -> ConvertedScene:
    """As the command does."""
    return convert_scene(
        KnownDataset(scene=scene),
        source or destination,
        FOUND,
        destination,
        ConvertSettings(**settings),
        prompts=prompts,
    )
