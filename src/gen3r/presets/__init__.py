"""Presets: functions that return typed configs. Asking for a name loads only then what the configs need."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gen3r.presets.stages import Preset

PRESETS = ("micro", "tiny", "small", "full", "lora")
"""Names of all presets; each is a module of this package with a function ``preset``."""


def load_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        ValueError: for an unknown name, listing the known ones.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}.")
    return import_module(f"gen3r.presets.{name}").preset()
