"""Whether a model can make what is ordered, told before its weights are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gen3r.hub.folder import config_from_dict
from gen3r.hub.load import open_model
from gen3r.hub.networks import VGGT_FOLDER
from gen3r.hub.registry import resolve_model
from gen3r.jobs.scenes.orders import SHOWN, SceneOrder
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline.config import PipelineConfig
from gen3r.scene.importing.cameras import read_any_cameras
from gen3r.scene.importing.track import ReadOptions
from gen3r.scene.video_reader import VIDEO_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a model says of sizes."""

    config: PipelineConfig
    """With its own ones."""
    patch: int
    """Pixels that rows and columns are multiples of."""

    @classmethod
    def of(cls, model: str, revision: str | None = None) -> Sizes:
        """Those of a model; its configs and headers are read, no weights."""
        opened = open_model(resolve_model(model, revision=revision))
        config = config_from_dict(PipelineConfig, opened.settings, str(opened.origin))
        return cls(config=config, patch=opened.parts[VGGT_FOLDER].config.patch_size)


def check_fits(orders: Sequence[SceneOrder], sizes: Sizes) -> None:
    """Whether all orders can be made as far as sizes go.

    Raises:
        ValueError: naming the orders whose sizes are off the grid, whose pictures are for frames that the clip does not
            have, or whose cameras are too few or cannot be read.
    """
    problems = []
    cameras: dict[str, int] = {}
    for order in orders:
        try:
            _check(order, sizes, cameras)
        except ValueError as error:
            problems.append(f"{order.id}: {error}")
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise ValueError(f"requests that this model cannot make{more}: {' '.join(problems[:SHOWN])}")


def _check(order: SceneOrder, sizes: Sizes, cameras: dict[str, int]) -> None:
    config = sizes.config
    height, width = order.size or (config.height, config.width)
    frames = LatentGrid(order.frames or config.frames, height, width, sizes.patch).frames
    beyond = [frame for frame in order.at if frame >= frames]
    if beyond:
        raise ValueError(f"at names frame {beyond[0]} of a clip with frames 0 to {frames - 1}; name one of these.")
    if len(order.images) > frames and not any(_is_clip(Path(image)) for image in order.images):
        raise ValueError(f"{len(order.images)} images for {frames} frames; give fewer.")
    if order.cameras is None:
        return
    if order.cameras not in cameras:
        path = read_any_cameras(order.cameras, ReadOptions(fov_degrees=config.fov_degrees))
        cameras[order.cameras] = path.shape[0]
    if cameras[order.cameras] < frames:
        raise ValueError(f"{order.cameras} holds {cameras[order.cameras]} cameras for {frames} frames; give more.")


def _is_clip(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES
