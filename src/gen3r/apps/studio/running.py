"""One job: its uploads through a model into a scene folder. What a worker does between claiming and reporting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from gen3r.apps.studio.drawn_path import read_drawn_path, spread_cameras
from gen3r.apps.studio.jobs import JobRequest
from gen3r.apps.studio.queue import Claim
from gen3r.cameras import Cameras
from gen3r.conditioning.text_cache import default_text_cache
from gen3r.hub.layout import ModelFolder
from gen3r.hub.registry import resolve_model
from gen3r.pipeline import Gen3RPipeline
from gen3r.scene.export.folder import write_scene_folder
from gen3r.scene.images import read_images
from gen3r.scene.limits import evenly_spread

AUTO = "auto"
CACHE_TEXT_FROM = 10**9
"""Bytes of a text encoder from which on its features are kept."""


@runtime_checkable
class Watcher(Protocol):
    """Is told how a job goes. Each method may raise to end it."""

    def phase(self, message: str) -> None:
        """Something else begins."""
        ...

    def step(self, done: int, total: int) -> None:
        """A denoising step has ended."""
        ...

    def preview(self, picture: UInt8[Tensor, "H W 3"]) -> None:
        """How the last frame looks so far."""
        ...


class Runner:
    """Runs jobs, and keeps the model of the last one."""

    def __init__(self, models: Mapping[str, str], device: str = AUTO) -> None:
        self.models = models
        self.device = device
        self._loaded: tuple[str, Gen3RPipeline] | None = None

    def run(self, claim: Claim, uploads: Path, out: Path, watcher: Watcher) -> None:
        """Write the scene of a job into the new folder ``out``, whole or not at all.

        Args:
            claim: the job.
            uploads: folder of its session's uploads.
            out: must not exist.
            watcher: is told the progress.

        Raises:
            ValueError: for a request that does not fit the model or its uploads.
        """
        pipeline = self._pipeline(claim.request.model, watcher)
        files = [uploads / name for name in claim.files]
        _KINDS[claim.request.kind](pipeline, claim.request, files, out, watcher)

    def _pipeline(self, name: str | None, watcher: Watcher) -> Gen3RPipeline:
        name = next(iter(self.models)) if name is None else name
        if self._loaded is not None and self._loaded[0] == name:
            return self._loaded[1]
        if name not in self.models:
            raise ValueError(f"the model {name} is offered no longer; choose another one.")
        watcher.phase("loading the model")
        self._loaded = None  # two large models do not fit side by side
        folder = resolve_model(self.models[name], local_files_only=True)
        device = self.device if self.device != AUTO else "cuda" if torch.cuda.is_available() else "cpu"
        pipeline = Gen3RPipeline.from_pretrained(folder, device=device, text_cache=_text_cache(folder))
        self._loaded = (name, pipeline)
        return pipeline


def _generate(pipeline: Gen3RPipeline, request: JobRequest, files: list[Path], out: Path, watcher: Watcher) -> None:
    height, width = request.size or (None, None)
    grid = pipeline.grid(request.frames, None if height is None or width is None else (height, width))
    watcher.phase("reading the uploads")
    is_clip = _is_clip(files)
    views = _pictures(files, grid.size, grid.frames if is_clip else None)
    at = request.at or (evenly_spread(grid.frames, len(views)) if is_clip else None)
    if at is not None and len(at) != len(views):
        raise ValueError(f"expected one frame index per view: {len(views)}, got {len(at)}; mend `at` or leave it out.")
    cameras = request.trajectory if request.camera_path is None else _drawn(request, grid.frames, out)
    watcher.phase("generating")
    scene = pipeline(
        views,
        request.prompt,
        at=at,
        cameras=cameras,
        camera_scale=request.camera_scale,
        frames=grid.frames,
        size=grid.size,
        steps=request.steps,
        guidance=request.guidance,
        scene_cameras=request.scene_cameras,
        generator=request.seed,
        callback=watcher.step,
        preview=watcher.preview,
    )
    watcher.phase("writing the files")
    write_scene_folder(scene, out, views=views, view_frames=at or scene.provenance["settings"]["views_at"])


def _reconstruct(pipeline: Gen3RPipeline, request: JobRequest, files: list[Path], out: Path, watcher: Watcher) -> None:
    height, width = request.size or (None, None)
    grid = pipeline.grid(1, None if height is None or width is None else (height, width))
    watcher.phase("reading the uploads")
    most = request.frames or pipeline.config.frames
    images = _pictures(files, grid.size, most if _is_clip(files) else None)
    watcher.phase("reconstructing")
    scene = pipeline.reconstruct(images, size=grid.size)
    watcher.phase("writing the files")
    write_scene_folder(scene, out)


_KINDS = {"generate": _generate, "reconstruct": _reconstruct}


def _is_clip(files: list[Path]) -> bool:
    """Whether the uploads are one video rather than pictures."""
    return any(file.suffix not in (".png", ".jpg", ".webp") for file in files)


def _drawn(request: JobRequest, frames: int, out: Path) -> Cameras:
    return spread_cameras(read_drawn_path(request.camera_path or {}, out.parent / "camera_path.json"), frames)


def _pictures(files: list[Path], size: tuple[int, int], max_frames: int | None) -> Float32[Tensor, "V 3 H W"]:
    if not files:
        return torch.zeros(0, 3, *size)
    return read_images(files, size=size, max_frames=max_frames).images


def _text_cache(folder: ModelFolder) -> Path | None:
    weights = (folder.path / "text_encoder").glob("*.safetensors")
    return default_text_cache() if sum(file.stat().st_size for file in weights) >= CACHE_TEXT_FROM else None
