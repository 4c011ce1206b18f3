"""The four training stages of a preset: which objective, on which batches, from which earlier networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gen3r.presets import load_preset
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import LoRAConfig, Preset
from gen3r.train.builders import BUILDERS
from gen3r.train.earlier import find_parts, tokenizer_of
from gen3r.train.encoded import identities
from gen3r.train.inputs import StageInputs
from gen3r.train.loop import Trainer
from gen3r.train.rng import derive_seed
from gen3r.train.stage_data import StageData

STAGES = tuple(BUILDERS)


def train(
    stage: str,
    preset: str | Preset,
    out: str | Path,
    *,
    resume: bool = False,
    data: Sequence[str | Path] = (),
    validation: Sequence[str | Path] = (),
    networks: Sequence[str | Path] = (),
    initial: str | Path | None = None,
    lora: int | None = None,
    official_strides: bool = False,
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
        data: what to train on: packs of clips, dataset folders, mixture files that name such with weights, or (for
            diffusion) folders of encoded clips; without any, procedural clips are generated while training.
        validation: the same for validation; without any, the validation clips of ``data`` where it has some, and where
            there is no ``data`` generated ones. Clips of another split are never read.
        networks: where networks of earlier stages are: runs, exports, model folders in any layout, the folders of the
            published VGGT and of the base model. The first that has one wins.
        initial: where the first weights of the trained network are, instead of random ones: the same places, or a
            safetensors file. The base model's transformer is widened as in the official training.
        lora: train low-rank updates of this rank on the frozen diffusion transformer of ``initial``.
        official_strides: draw strides of diffusion clips as the official training does, see ``ClipSampler``.
        overrides: fields of ``LoopConfig`` to change.
        clips: use at most this many training clips.
        console: where progress is shown.

    Raises:
        ValueError: for an unknown stage or preset, unusable data, missing earlier networks, or a folder already in use.
    """
    preset, loop = settings(stage, preset, overrides, lora=lora, official_strides=official_strides)
    if loop.threads is not None:
        torch.set_num_threads(loop.threads)
    out = Path(out)
    tell: Callable[[str], None] = console.print if console is not None else lambda text: None
    parts, tokenizer = find_parts(networks), tokenizer_of(networks)
    reading = StageData(
        preset=preset, stage=stage, seed=loop.seed, limit=clips, encoders=lambda: identities(parts, tokenizer)
    )
    training, held = [Path(path) for path in data], None
    if loop.validate_every:
        held = reading.validation([Path(path) for path in validation], training)
        if held is None:
            tell("no validation: the training data has no clips of that split")
    inputs = StageInputs(
        preset=preset,
        loop=loop,
        data=reading.training(training),
        held=held,
        networks=parts,
        tokenizer=tokenizer,
        initial=initial,
        out=out,
        fresh=not resume,
        report=lambda done, total: tell(f"encoded {done}/{total} clips"),
        tell=tell,
    )
    torch.manual_seed(derive_seed(loop.seed, "initial weights", stage))
    built = BUILDERS[stage](inputs)
    facts = {"stage": stage, "preset": preset.name, "network": dataclasses.asdict(getattr(preset, stage).network)}
    if stage == "diffusion" and preset.diffusion.lora is not None:
        facts["lora"] = dataclasses.asdict(preset.diffusion.lora) | {"on": str(initial)}
    trainer = Trainer(
        built.objective,
        built.batches,
        loop,
        out,
        validation=built.validation,
        resume=resume,
        title=f"{preset.name} {stage}",
        facts=facts,
        console=console,
    )
    trainer.run()
    return out / "export"


def settings(
    stage: str,
    preset: str | Preset,
    overrides: dict[str, Any] | None = None,
    *,
    lora: int | None = None,
    official_strides: bool = False,
) -> tuple[Preset, LoopConfig]:
    """The preset with what was asked for, and the loop of the stage; arguments are those of `train`.

    Raises:
        ValueError: for an unknown stage or preset, or a stage that the preset takes as published.
    """
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}; choose one of {', '.join(STAGES)}.")
    preset = load_preset(preset) if isinstance(preset, str) else preset
    preset = _changed(preset, stage, lora, official_strides)
    if stage in preset.pretrained:
        raise ValueError(
            f"{preset.name} takes the {stage} as it was published; train one of "
            f"{', '.join(name for name in STAGES if name not in preset.pretrained)}."
        )
    return preset, dataclasses.replace(getattr(preset, stage).loop, **(overrides or {}))


def _changed(preset: Preset, stage: str, lora: int | None, official_strides: bool) -> Preset:
    """The preset with what was asked for."""
    if lora is not None:
        if stage != "diffusion":
            raise ValueError(f"low-rank updates are of the diffusion transformer, not of the {stage}; leave out lora.")
        updates = dataclasses.replace(preset.diffusion.lora or LoRAConfig(), rank=lora, alpha=float(lora))
        preset = dataclasses.replace(preset, diffusion=dataclasses.replace(preset.diffusion, lora=updates))
    return dataclasses.replace(preset, official_strides=preset.official_strides or official_strides)
