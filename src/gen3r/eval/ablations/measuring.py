"""A finished run as a model, measured on the held-out clips part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from gen3r.data.clip import Clip
from gen3r.eval.ablations.scoring import COLUMNS, measure
from gen3r.eval.ablations.study import PlannedRun, Study
from gen3r.eval.ablations.training import places_of, run_folder
from gen3r.eval.benchmarks.clips import benchmark_clips
from gen3r.eval.benchmarks.seeds import benchmark_seeds
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.machine import machine_record, source_commit
from gen3r.eval.suite.benchmark import SuiteSettings
from gen3r.eval.suite.parts import Part, part_path
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline import Gen3RPipeline
from gen3r.train.release import ReleaseConfig, release

Advance = Callable[[int, int], None]


def held_out(study: Study, device: torch.device | str = "cpu", advance: Advance | None = None) -> list[Clip]:
    """The clips that every run is measured on; rendered once where the study has a pack.

    Raises:
        ValueError: for a pack without them.
    """
    config, base = study.config, study.base
    grid = LatentGrid(base.frames, base.height, base.width, base.vggt.network.patch_size)
    seeds = benchmark_seeds(config.seed_start, config.count)
    pack = Path(config.pack) if config.pack is not None else study.out / "held-out.safetensors"
    return benchmark_clips(seeds, grid, torch.device(device), pack=pack, advance=advance)


def parts_of(study: Study, run: PlannedRun) -> list[Part]:
    """What was measured of a run so far, in order."""
    read = (_part(study, run, number, seeds) for number, seeds in enumerate(_groups(study)))
    return [part for part in read if part is not None]


def is_measured(study: Study, run: PlannedRun) -> bool:
    """Whether every clip was."""
    return sum(len(part.clips) for part in parts_of(study, run)) == study.config.count


def measure_run(study: Study, run: PlannedRun, clips: Sequence[Clip], device: torch.device | str = "cpu") -> None:
    """Measure what is not measured yet of a run that has been trained; parts are on disk as soon as they are made.

    Args:
        study: that the run is of.
        run: of diffusion.
        clips: ``held_out(study)``.
        device: where the model works.
    """
    if is_measured(study, run):
        return
    pipeline = Gen3RPipeline.from_pretrained(model_of(study, run), device=device)
    settings = SuiteSettings(steps=study.config.sampling_steps)
    for number, seeds in enumerate(_groups(study)):
        if _part(study, run, number, seeds) is not None:
            continue
        truths = [Truth.of(clips[seed - study.config.seed_start], pipeline.device) for seed in seeds]
        tally = measure(pipeline, truths, settings)
        Part(
            clips={str(seed): {name: round(value, 6) for name, value in tally.scores[seed].items()} for seed in seeds},
            failures=[{"clip": str(f.seed), "stage": f.stage, "error": f.error} for f in tally.failures],
            quantities=tuple(COLUMNS),
            commit=source_commit(),
            machine=machine_record(pipeline.device),
            settings=asdict(settings) | {"steps": settings.steps or pipeline.config.steps},
        ).write(part_path(study.out, run.name, number))


def model_of(study: Study, run: PlannedRun) -> Path:
    """The model folder of a trained run, put together if need be."""
    folder = study.out / "models" / run.key
    if not (folder / "pipeline.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        places = [run_folder(study, run), *places_of(study, run)]
        config = ReleaseConfig(
            runs=tuple(Path(place) for place in places),
            preset=study.base.name,
            out=folder,
            revision=run.key,
            name=f"{study.base.name}-ablation",
        )
        release(config, run.preset)
    return folder


def _part(study: Study, run: PlannedRun, number: int, seeds: range) -> Part | None:
    """What was measured of a group of clips; None if it is not, or not all of what is measured now."""
    part = Part.read(part_path(study.out, run.name, number))
    return part if part is not None and part.holds([*map(str, seeds)], tuple(COLUMNS)) else None


def _groups(study: Study) -> list[range]:
    """Clips that are measured together, by their seeds."""
    return list(_chunks(study.config.seed_start, study.config.count, study.config.batch))


def _chunks(start: int, count: int, size: int) -> Iterator[range]:
    for first in range(start, start + count, size):
        yield range(first, min(first + size, start + count))
