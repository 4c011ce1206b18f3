"""The unit of work that makes scenes: a pipeline per worker, an order at a time."""

from __future__ import annotations

import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from gen3r.cameras import Cameras
from gen3r.jobs.scenes.collection import Collection
from gen3r.jobs.scenes.orders import SceneOrder
from gen3r.jobs.scenes.quality import measure_quality
from gen3r.pipeline import Gen3RPipeline
from gen3r.pipeline.acceleration import Acceleration
from gen3r.pipeline.memory import PROFILES
from gen3r.pipeline.step_cache import STEP_CACHES
from gen3r.scene.images import read_images
from gen3r.scene.importing.cameras import read_any_cameras
from gen3r.scene.importing.track import ReadOptions
from gen3r.scene.input_views import InputViews
from gen3r.scene.limits import evenly_spread
from gen3r.scene.video_reader import VIDEO_SUFFIXES

AUTO, NONE = "auto", "none"


class MakeScene:
    """Makes the scene of an order in a collection.

    Settings: ``out`` the collection's folder, and what ``Gen3RPipeline.from_pretrained`` takes, in words: ``model``,
    ``revision``, ``device``, ``dtype``, ``vram`` ("auto", "none" or gigabytes), ``numerics``, ``text_cache``,
    ``acceleration`` (its fields, the step cache by name), and ``scene_cameras``.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.collection = Collection(settings["out"])
        self.scene_cameras = settings.get("scene_cameras")
        device, dtype = settings.get("device", AUTO), settings.get("dtype")
        if device == AUTO:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.pipeline = Gen3RPipeline.from_pretrained(
            settings["model"],
            revision=settings.get("revision"),
            device=device,
            dtype=None if dtype is None else getattr(torch, dtype),
            memory=_memory(settings.get("vram", AUTO)),
            numerics=settings.get("numerics", "default"),
            text_cache=settings.get("text_cache"),
            acceleration=_acceleration(settings.get("acceleration")),
        )

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Make the scene unless it is there; returns its record."""
        order = SceneOrder.from_json(item)
        made = self.collection.made(order)
        if made is not None:
            return made
        started = time.perf_counter()
        grid = self.pipeline.grid(order.frames, order.size)
        views, at = _views(order, grid.size, grid.frames)
        scene = self.pipeline(
            views,
            order.prompt,
            at=at,
            cameras=_cameras(order, grid.frames, self.pipeline.config.fov_degrees),
            camera_scale=order.camera_scale,
            frames=grid.frames,
            size=grid.size,
            steps=order.steps,
            guidance=order.guidance,
            scene_cameras=self.scene_cameras,
            generator=order.seed,
        )
        generated = time.perf_counter() - started
        record = {
            "id": order.id,
            "content": order.content,
            "model": scene.provenance["model"],
            "revision": scene.provenance["revision"],
            "seed": order.seed,
            "frames": scene.frames,
            "size": [scene.height, scene.width],
            "seconds": round(generated, 4),
            "quality": asdict(measure_quality(scene)),
            "fingerprint": _fingerprint(scene.rgb),
        }
        shown = None
        if views is not None:
            frames = at or scene.provenance["settings"]["views_at"]
            shown = InputViews(images=tuple(views), frames=tuple(frames))
        self.collection.add(order, scene, shown, record)
        return record


def _views(order: SceneOrder, size: tuple[int, int], frames: int) -> tuple[torch.Tensor | None, list[int] | None]:
    """Pictures at the model's size, and their frames: a video or folder stands for its frames, evenly spread."""
    if not order.images:
        return None, None
    paths = [Path(image) for image in order.images]
    clip = any(path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES for path in paths)
    images = read_images(paths, size=size, max_frames=frames if clip else None).images
    return images, list(order.at) or (evenly_spread(frames, len(images)) if clip else None)


def _cameras(order: SceneOrder, frames: int, fov_degrees: float) -> Cameras | str | None:
    if order.cameras is None:
        return order.trajectory
    path = read_any_cameras(order.cameras, ReadOptions(fov_degrees=fov_degrees))
    count = path.shape[0]
    if count < frames:
        raise ValueError(f"{order.cameras} holds {count} cameras for {frames} frames; give one per frame.")
    return path[evenly_spread(count, frames)].to(dtype=torch.float64).rebased().to(dtype=torch.float32)


def _memory(vram: str) -> Any:
    known = {AUTO: AUTO, NONE: None} | {str(size): profile for size, profile in PROFILES.items()}
    return known[vram]


def _acceleration(settings: dict[str, Any] | None) -> Acceleration | None:
    if settings is None:
        return None
    values, cache = dict(settings), settings.get("cache")
    values["cache"] = None if cache is None else STEP_CACHES[cache]()
    return Acceleration(**values)


def _fingerprint(rgb: torch.Tensor) -> list[str] | None:
    """None without ImageHash."""
    if find_spec("imagehash") is None:
        return None
    from gen3r.jobs.scenes.likeness import fingerprint

    return fingerprint(rgb)
