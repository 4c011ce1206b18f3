"""What a model was made for: the settings that the page starts with."""

from __future__ import annotations

from pathlib import Path

from gen3r.apps.studio.limits import Limits
from gen3r.hub.folder import config_from_dict
from gen3r.pipeline.config import PipelineConfig


def most_of(settings: PipelineConfig, limits: Limits) -> tuple[int, int]:
    """The most frames and steps that the page offers: a few times what the model was made for, within the limits."""
    frames = min(4 * settings.frames, limits.frames)
    return (frames - 1) // 4 * 4 + 1, min(max(20, 3 * settings.steps), limits.steps)


def settings_of(model: str) -> PipelineConfig:
    """The settings of a model that is here, read from its folder without loading anything; else those of the official.

    Raises:
        ValueError: for a folder whose settings cannot be read.
    """
    import json

    from gen3r.hub.registry import resolve_model

    try:
        folder: Path = resolve_model(model, local_files_only=True).path
    except ValueError:  # not here: the studio says so when a scene is asked for
        return PipelineConfig(name=model)
    file = folder / "pipeline.json"
    if not file.is_file():
        return PipelineConfig(name=model)
    return config_from_dict(PipelineConfig, json.loads(file.read_text(encoding="utf-8")), str(file))
