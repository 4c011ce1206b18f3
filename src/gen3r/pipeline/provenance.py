"""The record that every scene carries about its making."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from gen3r.latents.grid import LatentGrid
from gen3r.pipeline.acceleration import Acceleration
from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.few_steps import Choice
from gen3r.pipeline.stages import Stages
from gen3r.pipeline.step_cache import STEP_CACHES, StepCache

_PACKAGES = ("gen3r", "torch", "diffusers", "transformers")


def record(
    config: PipelineConfig, *, kind: str, settings: Mapping[str, Any], timings: Mapping[str, float]
) -> dict[str, Any]:
    """JSON-able provenance: model, revision, kind of scene, settings, package versions, seconds per stage."""
    return {
        "model": config.name,
        "revision": config.revision,
        "kind": kind,
        "settings": dict(settings),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "timings": {name: round(seconds, 4) for name, seconds in timings.items()},
    }


def generation_settings(pipeline: Stages, grid: LatentGrid, chosen: Choice) -> dict[str, Any]:
    """JSON-able: how ``pipeline`` generates clips of ``grid``, whatever they show."""
    return {
        "frames": grid.frames,
        "size": list(grid.size),
        "steps": chosen.steps,
        "guidance": chosen.guidance,
        "few_steps": chosen.few is not None,
        **pipeline_settings(pipeline),
    }


def pipeline_settings(pipeline: Stages) -> dict[str, Any]:
    """JSON-able: how ``pipeline`` runs here, where it is not said what to do."""
    return {
        "dtype": str(pipeline.transformer.dtype).removeprefix("torch."),
        "memory": None if pipeline.memory is None else pipeline.memory.name,
        "numerics": pipeline.numerics.name,
    }


def acceleration_record(acceleration: Acceleration) -> dict[str, Any]:
    """JSON-able settings; those of the step cache with its name, which they alone would not tell."""
    plain = {field.name: getattr(acceleration, field.name) for field in dataclasses.fields(acceleration)}
    return plain | {"cache": None if acceleration.cache is None else _cache_record(acceleration.cache)}


def _cache_record(cache: StepCache) -> dict[str, Any]:
    names = {kind: name for name, kind in STEP_CACHES.items()}
    settings = dataclasses.asdict(cache) if dataclasses.is_dataclass(cache) else {}
    return {"name": names.get(type(cache), type(cache).__name__), **settings}
