"""What a converter hands over: one scene of a dataset as it lies on disk, described but not yet read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from gen3r.data.clip import Split
from gen3r.data.schema.record import CaptionKind, MaskKind, ScaleKind


class UnusableScene(ValueError):
    """A scene that cannot be converted; the text says why. It is listed, and the others go on."""


@dataclass(frozen=True, kw_only=True)
class PinholeView:
    """The pinhole camera that a distorted picture is warped to."""

    intrinsics: Float64[np.ndarray, "3 3"]
    """Pixels, corner origin."""
    height: int
    """Rows in pixels."""
    width: int
    """Columns in pixels."""
    view_from_camera: Float64[np.ndarray, "3 3"]
    """Rotation from the distorted camera's axes to the view's; identity unless the view looks elsewhere."""


@runtime_checkable
class Lens(Protocol):
    """How a camera differs from a pinhole. Hashable, and equal where it does the same: frames share what it costs."""

    def view(self, camera: RawCamera) -> PinholeView:
        """The pinhole camera its pictures are warped to, without black borders."""
        ...

    def pixels(self, camera: RawCamera, view: PinholeView) -> Float32[np.ndarray, "two H W"]:
        """For every pixel of ``view``, x and y in the distorted picture, corner origin (pixel centres at +0.5)."""
        ...


@dataclass(frozen=True, kw_only=True)
class RawCamera:
    """The camera of one frame."""

    intrinsics: Float64[np.ndarray, "3 3"]
    """Pixels of the picture on disk, corner origin: the image centre is (width/2, height/2)."""
    world_from_camera: Float64[np.ndarray, "4 4"]
    """Camera-to-world, OpenCV axes, the dataset's own world and unit."""
    height: int
    """Rows of the picture on disk."""
    width: int
    """Columns of the picture on disk."""
    lens: Lens | None = None
    """How it distorts; None for a pinhole, whose pictures are kept untouched."""


@dataclass(frozen=True, kw_only=True)
class RawFrame:
    """One frame. Whatever is a function is called at most once, frame by frame in order."""

    picture: Path | Callable[[], bytes]
    """An encoded picture (JPEG, PNG, WebP): its file, or what gives its bytes."""
    camera: RawCamera
    """Where it was taken."""
    depth: Callable[[], Float32[np.ndarray, "H W"]] | None = None
    """z-depth in the unit of the poses, 0 = invalid, any size of the same shape; of the distorted picture if any."""
    mask: Callable[[], UInt8[np.ndarray, "H W"]] | None = None
    """0..255, see ``RawScene.masks``."""
    time: float | None = None
    """Seconds, from any origin."""
    upright: bool = False
    """The camera is that of the picture turned as its EXIF orientation says, not of the pixels as they are stored."""


@dataclass(frozen=True, kw_only=True)
class RawScene:
    """One scene; frames in temporal order, each a temporal neighbour of the next."""

    name: str
    """Unique within the dataset; letters, digits, ``-``, ``_`` and ``.`` only."""
    split: Split
    """The official split; what a dataset calls test or benchmark is "held-out"."""
    scale_kind: ScaleKind
    """Whether the unit is the metre."""
    frames: tuple[RawFrame, ...]
    """At least one."""
    masks: MaskKind | None = None
    """What the masks mean, where there are any."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What the dataset says of the scene: "category", "place", "weather", "time of day", ... in plain words."""
    captions: tuple[str, ...] = ()
    """Prompts that come with the data."""
    caption_kind: CaptionKind = "none"
    """Where ``captions`` come from."""
    notes: tuple[str, ...] = ()
    """What was left out of the scene, and why."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A scene seen in the raw tree, before anything of it is read."""

    name: str
    """The ``RawScene.name`` it will have."""
    place: str
    """Where it is, relative to the source folder: what ``Converter.read`` needs besides the name."""
    split: Split
    """As ``RawScene.split``."""
    frames: int | None = None
    """Number of frames if that is known without opening pictures."""
    size: int | None = None
    """Bytes of its pictures if known."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that was not converted."""

    place: str
    """File, folder or scene."""
    reason: str
    """Why, in words a user can act on."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a raw tree holds."""

    scenes: tuple[Found, ...]
    """In a fixed order."""
    problems: tuple[Problem, ...] = ()
    """Files that were expected and are missing or damaged, or are there and unknown."""


@runtime_checkable
class PoseEstimator(Protocol):
    """Where cameras come from for pictures that have none."""

    def __call__(self, pictures: tuple[Path, ...]) -> tuple[RawCamera | None, ...]:
        """One camera per picture, of the picture turned upright, in any world and unit; None if it finds no place.

        Raises:
            UnusableScene: where no cameras can be found.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """What a user may choose; converters take what concerns them."""

    cameras: tuple[str, ...] = ()
    """Which cameras of a rig, by the dataset's names; empty: the converter's default."""
    square_windows: int = 1
    """Square windows cut side by side from very wide pictures (KITTI-360); 1: the whole picture."""
    poses: PoseEstimator | None = None
    """For pictures and videos without cameras."""
    rate: float | None = None
    """Frames per second to take of a video; None: all."""
    include_benchmarks: bool = False
    """Convert scenes of official benchmarks as well (as held-out); otherwise they are left out of train only."""
    without_benchmark_list: bool = False
    """Train on scenes of which nobody here knows whether an official benchmark tests on them (DL3DV-10K)."""


@runtime_checkable
class Converter(Protocol):
    """Reads one dataset. Instances hold no state: a scene is read in another process than it was found in."""

    name: str
    """On the command line, and the ``source`` of its clips: "re10k"."""
    licence: str
    """SPDX identifier, or the name of the terms."""

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """List the scenes below ``source`` without opening pictures.

        Raises:
            ValueError: if this is not the dataset at all; the message says what was expected where, and what came.
        """
        ...

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Describe one scene.

        Raises:
            UnusableScene: if it cannot be used.
        """
        ...
