"""The four training stages of a preset: which objective, on which batches, from which earlier networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gen3r.data.clip import FIRST_VALIDATION_SEED, Split
from gen3r.hub.load import ADAPTER, VAE, VGGT_FOLDER
from gen3r.presets import load_preset
from gen3r.presets.stages import Preset
from gen3r.train.builders import BUILDERS, StageInputs
from gen3r.train.loop import Trainer
from gen3r.train.rng import derive_seed
from gen3r.train.sources import ClipSource, GeneratedClips, PackedClips

STAGES = tuple(BUILDERS)
FIRST_SEEDS: dict[Split, int] = {"train": 0, "validation": FIRST_VALIDATION_SEED}
"""Where generated clips start."""


def train(
    stage: str,
    preset: str | Preset,
    out: str | Path,
    *,
    resume: bool = False,
    data: Sequence[str | Path] = (),
    validation: Sequence[str | Path] = (),
    networks: Sequence[str | Path] = (),
    overrides: dict[str, Any] | None = None,
    clips: int | None = None,
    console: Console | None = None,
) -> Path:
    """Train one stage and return the folder with its exported networks, ``out/export``.

    Args:
        stage: one of ``STAGES``.
        preset: a preset or its name.
        out: folder of the run; must be new unless ``resume``.
        resume: continue from the newest checkpoint, exactly.
        data: packs of clips to train on; without any, procedural clips are generated while training.
        validation: packs for validation; without any, clips of the validation seeds are generated. Packs that tell
            their seeds must be of the right split: see ``gen3r.data.clip.split_of``.
        networks: folders with networks of earlier stages: model folders, runs, or exports. The first that has one wins.
        overrides: fields of ``LoopConfig`` to change.
        clips: use at most this many training clips.
        console: where progress is shown.

    Raises:
        ValueError: for an unknown stage or preset, unusable data, missing earlier networks, or a folder already in use.
    """
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}; choose one of {', '.join(STAGES)}.")
    preset = load_preset(preset) if isinstance(preset, str) else preset
    loop = dataclasses.replace(getattr(preset, stage).loop, **(overrides or {}))
    if loop.threads is not None:
        torch.set_num_threads(loop.threads)
    out = Path(out)
    inputs = StageInputs(
        preset=preset,
        loop=loop,
        clips=_source(preset, data, "train", clips),
        validation=_source(preset, validation, "validation", 64) if loop.validate_every else None,
        networks=_find_networks(networks),
        out=out,
        fresh=not resume,
        report=lambda done, total: console.print(f"encoded {done}/{total} clips") if console is not None else None,
    )
    torch.manual_seed(derive_seed(loop.seed, "initial weights", stage))
    parts = BUILDERS[stage](inputs)
    facts = {"stage": stage, "preset": preset.name, "network": dataclasses.asdict(getattr(preset, stage).network)}
    trainer = Trainer(
        parts.objective,
        parts.batches,
        loop,
        out,
        validation=parts.validation,
        resume=resume,
        title=f"{preset.name} {stage}",
        facts=facts,
        console=console,
    )
    trainer.run()
    return out / "export"


def _source(preset: Preset, files: Sequence[str | Path], split: Split, count: int | None) -> ClipSource:
    """Clips of one split: of packs, or generated from its first seeds on."""
    if files:
        return PackedClips([Path(file) for file in files], count, split)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    first_seed = FIRST_SEEDS[split]
    return GeneratedClips(first_seed, count or preset.clips, preset.frames, preset.height, preset.width, device)


def _find_networks(folders: Sequence[str | Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in map(Path, folders):
        for place in (folder, folder / "export"):
            for name in (VGGT_FOLDER, VAE, ADAPTER):
                if (place / name / "config.json").is_file():
                    found.setdefault(name, place / name)
    return found
