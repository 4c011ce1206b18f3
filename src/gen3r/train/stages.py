"""The four training stages of a preset: which objective, on which batches, from which earlier networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec

import torch
from rich.console import Console

from gen3r.latents.codecs import CodecName
from gen3r.presets import load_preset
from gen3r.presets.codecs import with_codec
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import LoRAConfig, Preset
from gen3r.train.builders import BUILDERS
from gen3r.train.checkpoint import list_checkpoints
from gen3r.train.earlier import find_parts, tokenizer_of
from gen3r.train.encoded import EncodedClips, are_encoded, identities
from gen3r.train.facts import encoders_of_run, facts_of
from gen3r.train.inputs import StageInputs
from gen3r.train.loop import Trainer
from gen3r.train.opening import are_packs
from gen3r.train.pace import Pace
from gen3r.train.processes import Processes
from gen3r.train.resuming import comparable_facts
from gen3r.train.rng import derive_seed
from gen3r.train.sources import ClipSource
from gen3r.train.stage_data import FLOW_STAGES, StageData

Asked = ParamSpec("Asked")
STAGES = tuple(BUILDERS)


def prepare(
    stage: str,
    preset: str | Preset,
    out: str | Path,
    *,
    resume: bool = False,
    data: Sequence[str | Path] = (),
    validation: Sequence[str | Path] = (),
    clip_sources: tuple[ClipSource, ClipSource | None] | None = None,
    networks: Sequence[str | Path] = (),
    initial: str | Path | None = None,
    lora: int | None = None,
    distill: Mapping[str, Any] | None = None,
    official_strides: bool = False,
    codec: CodecName | None = None,
    overrides: dict[str, Any] | None = None,
    clips: int | None = None,
    console: Console | None = None,
    pace: Pace | None = None,
    saved: Callable[[int], None] | None = None,
    encoded: Callable[[int, int], None] | None = None,
) -> Trainer:
    """Make one stage ready to train.

    Args:
        stage: one of ``STAGES``.
        preset: a preset or its name.
        out: folder of the run; must be new unless ``resume``.
        resume: continue from the newest checkpoint, exactly; where there is none, start anew and say so.
        data: what to train on: packs of clips, dataset folders, mixture files that name such with weights, or (for
            diffusion) folders of encoded clips; without any, procedural clips are generated while training.
        validation: the same for validation; without any, the validation clips of ``data`` where it has some, and where
            there is no ``data`` generated ones. Clips of another split are never read.
        clip_sources: clips to train and to validate on that are open already, in place of ``data``.
        networks: where networks of earlier stages are: runs, exports, model folders in any layout, the folders of the
            published VGGT and of the base model. The first that has one wins.
        initial: where the first weights of the trained network are, instead of random ones: the same places, or a
            safetensors file. The base model's transformer is widened as in the official training.
        lora: train low-rank updates of this rank on the frozen diffusion transformer of ``initial``.
        distill: fields of ``DistillStage`` to change; only for distill.
        official_strides: draw strides of diffusion clips as the official training does, see ``ClipSampler``; only for
            datasets of pictures.
        codec: how geometry is coded in the joint latent, see ``presets.codecs``; None: as the preset says.
        overrides: fields of ``LoopConfig`` to change.
        clips: use at most this many training clips.
        console: where progress is shown.
        pace: when the run rests and ends; None: after the steps of the schedule.
        saved: called with the step once a checkpoint of it is whole.
        encoded: told how many of how many clips are encoded, in place of the console.

    Raises:
        ValueError: for an unknown stage or preset, unusable data, missing earlier networks, a folder already in use, or
            one that is resumed with other data, networks, seed or settings.
    """
    preset, loop = settings(
        stage, preset, overrides, lora=lora, distill=distill, official_strides=official_strides, codec=codec
    )
    if loop.threads is not None:
        torch.set_num_threads(loop.threads)
    out, processes = Path(out), Processes(loop.patience)
    tell: Callable[[str], None] = console.print if console is not None and processes.main else lambda text: None
    if loop.sharding != "none" and not processes.several:
        tell(f"sharding {loop.sharding}: one process alone has nobody to share with; it holds the whole model")
    newest = next(iter(list_checkpoints(out)[-1:]), None)
    if resume and newest is None:
        tell(f"nothing to resume in {out}: starting anew")
    parts, tokenizer = find_parts(networks), tokenizer_of(networks)
    expected = cache(lambda: _known_encoders(networks, initial))
    reading = StageData(preset=preset, stage=stage, seed=loop.seed, limit=clips, encoders=expected)
    training, held = [Path(path) for path in data], None
    if official_strides:
        _check_strides(training)
    if clip_sources is None and loop.validate_every:
        held = reading.validation([Path(path) for path in validation], training)
        if held is None:
            tell("no validation: the training data has no clips of that split")
    source, held = (reading.training(training), held) if clip_sources is None else clip_sources
    if isinstance(source, EncodedClips):
        _tell_unknown(set(source.latents.networks) - set(expected()), tell)
    encoders = encoders_of_run(stage, preset, source, parts, tokenizer)
    facts = facts_of(stage, preset, source, encoders, initial)
    if resume and newest is not None:
        facts = comparable_facts(newest, facts, loop, tell)
    inputs = StageInputs(
        preset=preset,
        loop=loop,
        data=source,
        held=held,
        networks=parts,
        tokenizer=tokenizer,
        encoders=encoders,
        initial=initial,
        out=out,
        fresh=newest is None,
        report=encoded or (lambda done, total: tell(f"encoded {done}/{total} clips")),
        tell=tell,
    )
    torch.manual_seed(derive_seed(loop.seed, "initial weights", stage))
    built = BUILDERS[stage](inputs)
    return Trainer(
        built.objective,
        built.batches,
        loop,
        out,
        validation=built.validation,
        resume=resume,
        title=f"{preset.name} {stage}",
        facts=facts,
        console=console,
        pace=pace,
        saved=saved,
    )


def _to_the_end(prepare: Callable[Asked, Trainer]) -> Callable[Asked, Path]:
    @wraps(prepare, assigned=())
    def train(*args: Asked.args, **options: Asked.kwargs) -> Path:
        """Train one stage, made ready as by `prepare`, and return the folder with its exported networks."""
        trainer = prepare(*args, **options)
        trainer.run()
        return trainer.exported

    return train


train = _to_the_end(prepare)


def settings(
    stage: str,
    preset: str | Preset,
    overrides: dict[str, Any] | None = None,
    *,
    lora: int | None = None,
    distill: Mapping[str, Any] | None = None,
    official_strides: bool = False,
    codec: CodecName | None = None,
) -> tuple[Preset, LoopConfig]:
    """The preset with what was asked for, and the loop of the stage; arguments are those of `train`.

    Raises:
        ValueError: for an unknown stage or preset, or a stage that the preset takes as published.
    """
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}; choose one of {', '.join(STAGES)}.")
    preset = load_preset(preset) if isinstance(preset, str) else preset
    preset = _changed(preset if codec is None else with_codec(preset, codec), stage, lora, official_strides, distill)
    if stage in preset.pretrained:
        raise ValueError(
            f"{preset.name} takes the {stage} as it was published; train one of "
            f"{', '.join(name for name in STAGES if name not in preset.pretrained)}."
        )
    changes = dict(overrides or {})
    if changes.get("accumulate") is not None:
        if changes.get("global_batch") is not None:
            raise ValueError("expected accumulate or global_batch, got both: the one follows from the other.")
        changes["global_batch"] = None
    return preset, dataclasses.replace(getattr(preset, stage).loop, **changes)


def _changed(
    preset: Preset, stage: str, lora: int | None, official_strides: bool, distill: Mapping[str, Any] | None
) -> Preset:
    """The preset with what was asked for."""
    if distill and stage != "distill":
        raise ValueError(f"{', '.join(distill)}: how a student is taught, which is for distill, not for the {stage}.")
    if stage == "distill":
        changes = {**(distill or {}), **({} if lora is None else {"lora": lora})}
        preset = dataclasses.replace(preset, distill=dataclasses.replace(preset.distill, **changes))
    elif lora is not None:
        if stage != "diffusion":
            raise ValueError(f"low-rank updates are of the diffusion transformer, not of the {stage}; leave out lora.")
        if preset.lora_preset is not None and preset.diffusion.lora is None:
            raise ValueError(
                f"the schedule of {preset.name} is for training all its weights; low-rank updates have one of their "
                f"own: --preset {preset.lora_preset} --lora {lora}."
            )
        updates = dataclasses.replace(preset.diffusion.lora or LoRAConfig(), rank=lora, alpha=float(lora))
        preset = dataclasses.replace(preset, diffusion=dataclasses.replace(preset.diffusion, lora=updates))
    if official_strides and stage not in FLOW_STAGES:
        raise ValueError(
            f"the official strides are those of diffusion, not of the {stage}; leave out official_strides."
        )
    return dataclasses.replace(preset, official_strides=preset.official_strides or official_strides)


def _check_strides(paths: Sequence[Path]) -> None:
    if not paths or are_packs(paths):
        raise ValueError("the frames of packs and of generated clips are theirs already; leave out official_strides.")
    if are_encoded(paths):
        raise ValueError(
            "the strides of encoded clips were drawn when they were encoded; leave out official_strides, and encode "
            "with gen3r data encode --strides 1 1, which is what the official code does."
        )


def _known_encoders(networks: Sequence[str | Path], initial: str | Path | None) -> dict[str, str]:
    """sha256 of the encoders that are named, by kind: among the networks, else beside the first weights."""
    beside = () if initial is None or Path(initial).is_file() else (initial,)
    places = (*networks, *beside)
    return identities(find_parts(places), tokenizer_of(places))


def _tell_unknown(kinds: set[str], tell: Callable[[str], None]) -> None:
    if kinds:
        tell(
            f"not compared, for none is among --networks or in --init: the {', '.join(sorted(kinds))} that encoded "
            "these clips; gen3r models assemble compares what it is given"
        )
