"""The record that every scene carries about its making."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from gen3r.pipeline.config import PipelineConfig

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
