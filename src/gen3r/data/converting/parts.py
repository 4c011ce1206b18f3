"""The clips of a scene: one, or parts whose names say how many there are, so that a folder tells what is complete."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path

from gen3r.data.converting.raw import UnusableScene
from gen3r.data.schema.record import RECORD_FILE

_PART = re.compile(r"(?P<scene>.+)-part(?P<part>\d+)of(?P<parts>\d+)")


def clip_names(scene: str, parts: int) -> tuple[str, ...]:
    """``scene``, or ``scene-part01of12`` and so on."""
    if parts == 1:
        return (scene,)
    return tuple(f"{scene}-part{part:0{len(str(parts))}d}of{parts}" for part in range(1, parts + 1))


def converted_scenes(destination: Path) -> dict[str, str]:
    """The scenes of which every clip is in a dataset folder, each with the name of its first clip."""
    clips = set(_clips(destination))
    scenes = {clip: clip for clip in clips}
    parts: dict[tuple[str, int], int] = defaultdict(int)
    for clip in clips:
        if match := _PART.fullmatch(clip):
            parts[match["scene"], int(match["parts"])] += 1
    for (scene, wanted), found in parts.items():
        if found == wanted:
            scenes.setdefault(scene, clip_names(scene, wanted)[0])
    return scenes


def check_parts(destination: Path, scene: str, names: tuple[str, ...]) -> None:
    """Raise `UnusableScene` if clips of a scene are there that are not among ``names``: it was cut in another way."""
    there = {clip for clip in _clips(destination) if (match := _PART.fullmatch(clip)) and match["scene"] == scene}
    others = sorted(there - set(names))
    if others:
        raise UnusableScene(
            f"{destination / others[0]} was cut with another --max-frames; delete the parts of this scene."
        )


def _clips(destination: Path) -> list[str]:
    names = os.listdir(destination) if destination.is_dir() else []
    return [name for name in names if name[0] != "." and (destination / name / RECORD_FILE).is_file()]
