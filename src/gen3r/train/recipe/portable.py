"""What of a run another machine needs to go on: a few small files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from gen3r.hub.folder import WEIGHTS_FILE
from gen3r.hub.layout import RUN_EXPORT
from gen3r.presets.recipe import Leg, Recipe
from gen3r.train.checkpoint import FACTS, FOLDER, list_checkpoints, read_facts, read_tensors
from gen3r.train.recipe.bundle import fold, narrowed, read_index, read_weights, size_of, unfold
from gen3r.train.recipe.progress import LegProgress, Progress
from gen3r.train.state import AVERAGE, WEIGHTS
from gen3r.whole_file import whole_file

START = "start"
"""In a leg's folder: its networks as it began or last saved them, with tokenizer and statistics."""
STATE = "state.safetensors"
"""In a portable copy: what the leg under way has beside `START`, above all its weights that are not averaged."""
LIMIT = 56_000_000
"""Bytes of a portable copy above which it goes without those weights: the leg then goes on from their average."""
_NETWORKS = f"{WEIGHTS}networks."


@dataclass(frozen=True)
class Packed:
    """What was written."""

    megabytes: float
    """Of all files."""
    files: int
    """How many."""
    whole: bool
    """Whether the leg under way has more than its average in it."""


def write_portable(run: Path, folder: Path, recipe: Recipe, progress: Progress, limit: int = LIMIT) -> Packed:
    """Write the finished networks, and the one under way, into a few small files.

    Weights are float16, as they are released; moments of optimizers are left out.

    Args:
        run: folder of the run.
        folder: to write.
        recipe: what is followed.
        progress: how far it is.
        limit: bytes above which the network under way goes with its averaged weights alone.

    Raises:
        ValueError: if ``folder`` holds something else.
    """
    files: dict[str, Path] = {}
    states: dict[str, dict[str, Tensor]] = {}
    facts: dict[str, Any] = {}
    for leg in _needed(recipe, progress):
        state, place = progress.of(leg), run / leg.name
        files |= _below(run, place / (RUN_EXPORT if state.done else START))
        newest = next(iter(list_checkpoints(place)[-1:]), None)
        if not state.done and newest is not None:
            states[f"{leg.name}/{STATE}"] = _state(newest, place / START)
            facts[leg.name] = read_facts(newest)
    size = sum(path.stat().st_size for path in files.values()) + sum(map(size_of, states.values()))
    whole = size <= limit
    if not whole:
        states = {
            file: {name: value for name, value in tensors.items() if not name.startswith(_NETWORKS)}
            for file, tensors in states.items()
        }
    written = fold(folder, files, states, {"progress": progress.plain(), "facts": facts})
    return Packed(megabytes=written / 1e6, files=len(read_index(folder)["shards"]) + 1, whole=whole)


def take_portable(folders: Sequence[Path], run: Path, recipe: Recipe, preset: str) -> Progress | None:
    """Put what portable copies hold into a run that is new; of each leg the copy that is furthest.

    Returns:
        How far the run is then; None if there was no copy.

    Raises:
        ValueError: for folders that are none, or of another preset.
    """
    if not folders:
        return None
    known = [(folder, Progress.read(read_index(folder)["progress"])) for folder in folders]
    for folder, progress in known:
        if progress.preset != preset:
            raise ValueError(f"expected a portable copy of {preset} in {folder}, got one of {progress.preset}.")
    merged = Progress(preset=preset, minutes=known[0][1].minutes, sittings=max(each.sittings for _, each in known))
    for leg in recipe.legs:
        folder, best = max(known, key=lambda each: each[1].of(leg).rank)
        merged.legs[leg.name] = best.of(leg)
        _take(folder, run, leg, best.of(leg))
    merged.write(run)
    return merged


def _take(folder: Path, run: Path, leg: Leg, state: LegProgress) -> None:
    names = [f"{leg.name}/{RUN_EXPORT}/"] if state.done else [f"{leg.name}/{START}/", f"{leg.name}/{STATE}"]
    contents = unfold(folder, run, names)
    facts = read_index(folder)["facts"].get(leg.name)
    if state.done or facts is None:
        return
    tensors = contents[f"{leg.name}/{STATE}"]
    averages = _started(run / leg.name / START)
    averages |= {name.removeprefix(AVERAGE): value for name, value in tensors.items() if name.startswith(AVERAGE)}
    tensors = {f"{_NETWORKS}{name}": value for name, value in averages.items()} | tensors
    if facts["loop"]["ema_decay"]:
        tensors |= {f"{AVERAGE}{name}": value for name, value in averages.items()}
    write_checkpoint(run / leg.name, facts, {name: _wide(value) for name, value in tensors.items()})


def write_checkpoint(run: Path, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """A checkpoint without an optimizer's moments."""
    place = run / FOLDER / f"step-{facts['step']:09d}"
    place.mkdir(parents=True, exist_ok=True)
    offsets = {name: {"saved_offsets": [0] * max(1, value.ndim)} for name, value in tensors.items()}
    rows = {name: (value if value.ndim else value.view(1)).contiguous() for name, value in tensors.items()}
    metadata = {"DCP_SHARDING_INFO": json.dumps(offsets), "DCP_VERSION": "1.0", "format": "pt"}
    save_file(rows, place / "shard-00000-of-00001.safetensors", metadata)
    with whole_file(place / FACTS) as temporary:
        temporary.write_text(json.dumps(dict(facts), indent=2))


def _state(checkpoint: Path, start: Path) -> dict[str, Tensor]:
    """Of a checkpoint: the weights, and what of the average `START` does not name (tied tensors)."""
    known = _started(start)
    averages = {name: value for name, value in read_tensors(checkpoint, AVERAGE).items() if name not in known}
    tensors = {f"{WEIGHTS}{name}": value for name, value in read_tensors(checkpoint, WEIGHTS).items()}
    tensors |= {f"{AVERAGE}{name}": value for name, value in averages.items()}
    return {name: narrowed(value) for name, value in tensors.items()}


def _started(start: Path) -> dict[str, Tensor]:
    """What `START` holds, under the names of the average in a checkpoint."""
    return {
        f"{path.parent.name}.{name}": value
        for path in sorted(start.glob(f"*/{WEIGHTS_FILE}"))
        for name, value in read_weights(path).items()
    }


def _wide(tensor: Tensor) -> Tensor:
    """As float32 where it is float16; in memory of its own in any case, which files of weights ask for."""
    return tensor.float() if tensor.dtype == torch.float16 else tensor.clone()


def _needed(recipe: Recipe, progress: Progress) -> list[Leg]:
    """Of each stage the leg that is furthest: those before it are in its weights."""
    furthest: dict[str, Leg] = {}
    for leg in recipe.legs:
        state = progress.of(leg)
        if state.done or state.step:
            furthest[leg.stage] = leg
    return list(furthest.values())


def _below(run: Path, folder: Path) -> dict[str, Path]:
    """Files of a folder by their name in the run."""
    return {str(path.relative_to(run)): path for path in sorted(folder.rglob("*")) if path.is_file()}
