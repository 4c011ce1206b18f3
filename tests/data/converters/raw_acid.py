"""Writes ACID's large release: the text files of RealEstate10K, JPEG frames, all in one flat folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.converters.fixture import DrawnScene
from data.converters.raw_re10k import write_clip


def write_flat(root: Path, scene: DrawnScene, clips: Sequence[str]) -> None:
    """Clips without a split."""
    for clip in clips:
        write_clip(root, scene, split=".", clip=clip, suffix=".jpg")
