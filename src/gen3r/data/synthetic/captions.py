"""Sentences about a scene and its camera, in varied wording."""

from __future__ import annotations

import random
from collections.abc import Sequence

_OPENINGS = (
    "{setting} with {things}",
    "{setting}, {things}",
    "a video of {setting} with {things}",
    "{things} in {setting}",
)
_SHORT = ("{setting}", "a clip of {setting}")
_CAMERA = ("; the camera {motion}", ". The camera {motion}.", ", filmed as the camera {motion}", "")
_MOST_THINGS = 5


def caption(setting: str, seen: Sequence[str], motion: str, seed: int) -> str:
    """One caption: the setting, some of the things to be seen in it, and usually what the camera does."""
    chance = random.Random(seed * 104729 + 71)
    things = list(seen)
    chance.shuffle(things)
    things = things[: chance.randint(1, _MOST_THINGS)]
    template = chance.choice(_OPENINGS if things else _SHORT)
    return template.format(setting=setting, things=_listed(things)) + chance.choice(_CAMERA).format(motion=motion)


def _listed(things: list[str]) -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}" if things else ""
