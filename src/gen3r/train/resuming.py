"""Whether a run may go on with what it is given now, and what its user should know of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gen3r.presets.loop import LoopConfig
from gen3r.train.checkpoint import list_checkpoints, read_facts

ADDED = ("data", "encoders", "settings")
"""Facts that checkpoints of earlier versions lack; a run that began without them goes on without them."""
AGAIN = "resume with the same, or use another folder"


def checkpoint_to_resume(run: Path, facts: Mapping[str, Any], *, resume: bool) -> Path | None:
    """The newest checkpoint of a run; None if there is none.

    Raises:
        ValueError: if there is one although the run shall begin, or one with other ``facts``.
    """
    present = list_checkpoints(run)
    if present and not resume:
        raise ValueError(
            f"{run} already holds checkpoints up to {present[-1].name}; resume it or choose another folder."
        )
    if not present:
        return None
    known = read_facts(present[-1])
    changed = [name for name, value in facts.items() if name != "loop" and known.get(name) != plain(value)]
    if changed:
        raise ValueError(f"{present[-1]} was trained with other {', '.join(changed)}; {AGAIN}.")
    return present[-1]


def comparable_facts(
    checkpoint: Path, facts: Mapping[str, Any], loop: LoopConfig, tell: Callable[[str], None]
) -> dict[str, Any]:
    """``facts`` without what the checkpoint says nothing of.

    Args:
        checkpoint: the one to go on from.
        facts: stage, preset, networks, data and settings of the run as it is now.
        loop: its schedule; every field that is another than before is told.
        tell: told in one line each.

    Raises:
        ValueError: naming what is another than when the checkpoint was written: seed, data, networks that encode it,
            or settings of the stage. Such a run would not be the one that was begun.
    """
    known = read_facts(checkpoint)
    before, now = known.get("loop", {}), plain(dataclasses.asdict(loop))
    changed = _differences(before, now)
    if "seed" in changed:
        raise ValueError(f"{checkpoint} was trained with seed {before['seed']}, got {now['seed']}; {AGAIN}.")
    for name in ADDED:
        found = _differences(known.get(name, {}), plain(facts.get(name, {})), strict=name in known)
        if found:
            raise ValueError(f"{checkpoint} was trained with other {name}: {'; '.join(found.values())}; {AGAIN}.")
    if changed:
        tell(f"the run goes on with other settings: {'; '.join(changed.values())}")
    return {name: value for name, value in facts.items() if name not in ADDED or name in known}


def plain(value: Any) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(value))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], strict: bool = False) -> dict[str, str]:
    """What differs, in words; fields of one side alone count only if ``strict``."""
    names = [name for name in {**before, **now} if strict or (name in before and name in now)]
    return {
        name: f"{name} was {_short(before.get(name))}, is {_short(now.get(name))}"
        for name in names
        if before.get(name) != now.get(name)
    }


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
