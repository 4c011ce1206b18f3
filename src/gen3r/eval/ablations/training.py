"""The runs of a study, trained so that a kill at any moment costs at most the steps since a checkpoint."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console
from safetensors.torch import load_file

from gen3r.eval.ablations.study import FOUNDATIONS, PlannedRun, Study
from gen3r.hub.folder import WEIGHTS_FILE
from gen3r.train.checkpoint import list_checkpoints
from gen3r.train.data_identity import data_identity
from gen3r.train.earlier import find_parts
from gen3r.train.encoded import identities
from gen3r.train.hooks import LOG_FILE, read_log
from gen3r.train.stage_data import StageData
from gen3r.train.stages import train
from gen3r.whole_file import whole_file

FINISHED = "finished.json"
"""In the folder of a run that is done: its seconds, steps and sizes."""
LATENTS = "latents.safetensors"
"""In the folder of a diffusion run: its encoded clips."""


def run_folder(study: Study, run: PlannedRun) -> Path:
    """Where a run lies."""
    return study.out / "runs" / run.name


def is_finished(study: Study, run: PlannedRun) -> bool:
    """Whether a run has come to its end."""
    return (run_folder(study, run) / FINISHED).is_file()


def sources_of(study: Study) -> dict[str, Any]:
    """JSON that tells the data and the given networks of a study from others.

    Raises:
        ValueError: for data that cannot be opened.
    """
    reading = StageData(preset=study.base, stage="adapter", seed=0, limit=study.config.clips, encoders=dict)
    data = data_identity(reading.training([Path(path) for path in study.config.data]))
    found = find_parts(study.config.networks)
    return {
        "data": data,
        "networks": identities({kind: part for kind, part in found.items() if kind in FOUNDATIONS.values()}, None),
    }


def missing_foundations(study: Study) -> list[PlannedRun]:
    """Runs for the VGGT and the VAE that no folder of ``networks`` has, those that are done left out."""
    there = find_parts(study.config.networks)
    runs = [run for stage, run in study.foundations.items() if FOUNDATIONS[run.stage] not in there]
    return [run for run in runs if not is_finished(study, run)]


def foundation_places(study: Study) -> list[str | Path]:
    """Where VGGT and VAE are: the study's own runs for what is nowhere else. Adapters lying there are not meant."""
    own = [run_folder(study, run) for run in study.foundations.values() if is_finished(study, run)]
    return [*study.config.networks, *own]


def places_of(study: Study, run: PlannedRun) -> list[str | Path]:
    """Where the networks are that a run builds on; the first that has one counts."""
    adapter = study.adapter_of(run) if run.stage == "diffusion" else None
    own: list[str | Path] = [] if adapter is None else [run_folder(study, adapter)]
    return [*own, *foundation_places(study)]


def train_run(study: Study, run: PlannedRun, console: Console | None = None) -> dict[str, Any]:
    """Train a run to its end, or go on where it was; returns what it took.

    Encoded clips are kept for the runs of other seeds.
    """
    folder = run_folder(study, run)
    if is_finished(study, run):
        return finished_facts(study, run)
    folder.mkdir(parents=True, exist_ok=True)
    latents = study.out / "encoded" / f"{study.encoding_of(run)}.safetensors" if run.stage == "diffusion" else None
    if latents is not None and latents.is_file() and not (folder / LATENTS).exists():
        _link(latents, folder / LATENTS)
    export = train(
        run.stage,
        run.preset,
        folder,
        resume=bool(list_checkpoints(folder)),
        data=study.config.data,
        networks=() if run.stage in FOUNDATIONS else places_of(study, run),
        clips=study.config.clips,
        console=console,
    )
    if latents is not None and not latents.is_file():
        latents.parent.mkdir(parents=True, exist_ok=True)
        _link(folder / LATENTS, latents)
    facts = {
        "stage": run.stage,
        "steps": run.loop.steps,
        "seed": run.loop.seed,
        "seconds": round(training_seconds(folder), 1),
        "parameters": parameters(export),
    }
    with whole_file(folder / FINISHED) as file:
        file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (folder / LATENTS).unlink(missing_ok=True)
    for leftover in ("checkpoints", "tensorboard"):
        shutil.rmtree(folder / leftover, ignore_errors=True)
    return facts


def finished_facts(study: Study, run: PlannedRun) -> dict[str, Any]:
    """What a finished run took."""
    return json.loads((run_folder(study, run) / FINISHED).read_text(encoding="utf-8"))


def training_seconds(folder: Path) -> float:
    """Seconds of all sittings of a run, by its log; what was done twice counts twice."""
    if not (folder / LOG_FILE).is_file():
        return 0.0
    total, last = 0.0, 0.0
    for line in read_log(folder):
        seconds = float(line.get("seconds", 0.0))
        if seconds < last:
            total += last
        last = seconds
    return total + last


def parameters(export: Path) -> dict[str, int]:
    """How many numbers each network of an export has."""
    files = {file.parent.name: file for file in sorted(export.glob(f"*/{WEIGHTS_FILE}"))}
    return {name: sum(tensor.numel() for tensor in load_file(file).values()) for name, file in files.items()}


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or where that is not possible a copy."""
    with whole_file(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
