"""Cameras for pictures that have none, by the VGGT of a model folder."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.cameras.alignment import MIN_POINTS, Sim3, spread_ratio_scale, umeyama
from gen3r.cameras.projection import unproject
from gen3r.data.converting.raw import RawCamera, UnusableScene
from gen3r.hub.folder import config_from_dict
from gen3r.hub.load import open_model
from gen3r.hub.networks import VGGT_FOLDER
from gen3r.hub.registry import DEFAULT_MODEL, resolve_model
from gen3r.hub.stream import Placement
from gen3r.models.vggt import VGGT
from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.decode import predicted_cameras
from gen3r.scene.crop import CoverCrop, cover_crop
from gen3r.scene.images import read_image

SURE_SHARE = 0.7
"""Of the pixels that two chunks share, the most confident ones may align them."""
ALIGNING_PIXELS = 50_000
"""About so many are enough."""
HEAD_FRAMES = 8
"""Pictures that the depth head works on at once."""


@dataclass(frozen=True, kw_only=True)
class VGGTPoses:
    """Finds cameras with VGGT, long sequences in overlapping chunks that are aligned with each other.

    The network is read when the first pictures come, once per process.
    """

    model: str = DEFAULT_MODEL
    """Name of a model, a repository on the hub, or a model folder."""
    device: str = "cpu"
    """Where it runs."""
    chunk: int | None = None
    """Pictures that are seen at once; memory grows with it. None: as many as the model was trained for."""
    overlap: int | None = None
    """Pictures that neighbouring chunks share; None: a third of a chunk."""

    def __post_init__(self) -> None:
        if self.chunk is not None and self.chunk < 2:
            raise ValueError(f"expected chunks of at least 2 pictures, got {self.chunk}.")
        if self.overlap is not None and not 1 <= self.overlap < (self.chunk or self.overlap + 1):
            raise ValueError(f"expected an overlap of 1 to chunk - 1 pictures, got {self.overlap}.")

    def __call__(self, pictures: tuple[Path, ...]) -> tuple[RawCamera, ...]:
        """One camera per upright picture, in the world of the first and a unit of VGGT's choosing.

        Raises:
            UnusableScene: if what it sees makes no cameras.
            ValueError: for pictures that cannot be read, and models that cannot be found.
        """
        config, vggt = self._network
        chunk = min(self.chunk or config.frames, len(pictures))
        overlap = min(self.overlap or max(1, chunk // 3), max(1, chunk - 1))
        cameras: list[RawCamera] = []
        before: Views | None = None
        for start in chunk_starts(len(pictures), chunk, overlap):
            views = look(vggt, pictures[start : start + chunk], (config.height, config.width), self.device)
            shared = len(cameras) - start
            if before is not None:
                views = views.moved(alignment(views.part(0, shared), before.part(chunk - shared, chunk)))
            cameras += views.full_cameras()[shared:]
            before = views
        return tuple(cameras)

    @cached_property
    def _network(self) -> tuple[PipelineConfig, VGGT]:
        model = open_model(resolve_model(self.model))
        config = config_from_dict(PipelineConfig, model.settings, str(model.origin))
        placement = Placement(device=torch.device(self.device), dtype=None)
        return config, model.parts[VGGT_FOLDER].load(placement).eval()


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """What VGGT sees in some pictures."""

    cameras: Cameras
    """[N] float64, of the pictures as they were cropped."""
    depth: Float[Tensor, "N H W"]
    """z-depth in the unit of the cameras."""
    confidence: Float[Tensor, "N H W"]
    """Larger is surer."""
    crops: tuple[CoverCrop, ...]
    """How each picture was cropped."""

    def part(self, start: int, stop: int) -> Views:
        """Some of the views."""
        chosen = slice(start, stop)
        return Views(
            cameras=self.cameras[chosen],
            depth=self.depth[chosen],
            confidence=self.confidence[chosen],
            crops=self.crops[chosen],
        )

    def moved(self, transform: Sim3) -> Views:
        """The same views in another world."""
        return dataclasses.replace(
            self, cameras=transform.apply_to_cameras(self.cameras), depth=self.depth * transform.scale.to(self.depth)
        )

    def full_cameras(self) -> list[RawCamera]:
        """The cameras of the pictures as they were before they were cropped."""
        full = [
            camera.crop(-crop.top, -crop.left, crop.resized_height, crop.resized_width).resize(
                crop.source_height, crop.source_width
            )
            for camera, crop in zip((self.cameras[i] for i in range(len(self.cameras))), self.crops, strict=True)
        ]
        return [
            RawCamera(
                intrinsics=camera.intrinsics.numpy(),
                world_from_camera=camera.world_from_camera.numpy(),
                height=camera.height,
                width=camera.width,
            )
            for camera in full
        ]


def chunk_starts(count: int, chunk: int, overlap: int) -> list[int]:
    """Where chunks begin that cover ``count`` items, are all of length ``chunk``, and share at least ``overlap``."""
    return [min(start, count - chunk) for start in range(0, max(1, count - overlap), chunk - overlap or 1)]


@torch.no_grad()
def look(vggt: VGGT, pictures: Sequence[Path], size: tuple[int, int], device: str) -> Views:
    """Run VGGT on pictures, each brought to ``size`` (height, width) by cover-resize and centre crop.

    Raises:
        UnusableScene: for cameras that are none.
    """
    images, crops = zip(*(_cropped(picture, size) for picture in pictures), strict=True)
    tokens = vggt.aggregate(torch.stack(images)[None].to(device))
    depth, confidence = vggt.depth_head(tokens, size, HEAD_FRAMES)
    cameras = predicted_cameras(vggt.camera_head(tokens[-1])[-1][0], *size).to(dtype=torch.float64)
    try:
        cameras.validate()
    except ValueError as error:
        raise UnusableScene(f"VGGT finds no cameras for its pictures: {error}") from error
    return Views(cameras=cameras, depth=depth[0].float().cpu(), confidence=confidence[0].float().cpu(), crops=crops)


def _cropped(picture: Path, size: tuple[int, int]) -> tuple[Tensor, CoverCrop]:
    image = read_image(picture)
    crop = cover_crop(image.shape[-2], image.shape[-1], *size)
    return crop.apply(image), crop


def alignment(source: Views, target: Views) -> Sim3:
    """From the world of ``source`` to that of ``target``, two views of the same pictures.

    Both say for every pixel where its surface is: the similarity is fitted to the pixels that both are sure of, and
    once more to the half of them that it fits best.

    Raises:
        UnusableScene: if too few pixels are seen by both.
    """
    step = math.ceil(math.sqrt(source.depth.numel() / ALIGNING_PIXELS))
    seen = (slice(None), slice(None, None, step), slice(None, None, step))
    here, there = (unproject(views.depth.double(), views.cameras)[seen].flatten(0, 2) for views in (source, target))
    sure = _surest(source.confidence[seen].flatten()) & _surest(target.confidence[seen].flatten())
    good = sure & here.isfinite().all(-1) & there.isfinite().all(-1)
    if int(good.sum()) < 10 * MIN_POINTS:
        raise UnusableScene("neighbouring chunks of its pictures share nothing that VGGT is sure of.")
    errors = (umeyama(here, there, good, spread_ratio_scale).apply(here) - there).norm(dim=-1)
    return umeyama(here, there, good & (errors <= errors[good].median()), spread_ratio_scale)


def _surest(confidence: Tensor) -> Tensor:
    """Which of them belong to the `SURE_SHARE`."""
    return confidence >= confidence.quantile(1 - SURE_SHARE)
