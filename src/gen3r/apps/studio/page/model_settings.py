"""What a model was made for: the settings that the page starts with. Nothing of the pipeline is imported for them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from gen3r.apps.studio.limits import Limits

FILE = "pipeline.json"


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The part of ``pipeline.json`` that the page shows; the defaults are those of the official model."""

    frames: int = 49
    """Clip length the weights were trained for."""
    steps: int = 50
    """Denoising steps."""
    guidance: float = 5.0
    """Text guidance."""


def settings_of(model: str) -> ModelSettings:
    """The settings of a model that is here, read from its folder; else the defaults.

    Raises:
        ValueError: for a folder whose settings cannot be read.
    """
    from gen3r.hub.registry import resolve_model

    try:
        file: Path = resolve_model(model, local_files_only=True).path / FILE
    except ValueError:  # not here: the studio says so when a scene is asked for
        return ModelSettings()
    if not file.is_file():
        return ModelSettings()
    stored = json.loads(file.read_text(encoding="utf-8"))
    return ModelSettings(**{item.name: stored[item.name] for item in fields(ModelSettings) if item.name in stored})


def most_of(settings: ModelSettings, limits: Limits) -> tuple[int, int]:
    """The most frames and steps that the page offers: a few times what the model was made for, within the limits."""
    frames = min(4 * settings.frames, limits.frames)
    return (frames - 1) // 4 * 4 + 1, min(max(20, 3 * settings.steps), limits.steps)
