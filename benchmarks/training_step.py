"""How fast optimizer steps are here: operations per second of a stage's step, beside the fastest matrix product.

R=benchmarks/results
python benchmarks/training_step.py --cases tiny:diffusion tiny:adapter --threads 1 --out $R/training_step_cpu.json
python benchmarks/training_step.py --cases full:diffusion full:adapter:25 --out $R/training_step_h100.json

A case is PRESET:STAGE[:FRAMES[:BATCH]]. Networks have random weights and read noise; the loop, the optimizer and the
average are those of ``gen3r train``, which plans with the results: ``--dry-run --measured RESULTS.json``. On one CPU
thread its own time is counted, which other programs do not change.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import tyro
from measure.ceiling import Ceiling, matmul_ceiling, synchronize

from gen3r.eval.machine import machine_record, source_commit
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import Preset
from gen3r.train.batches import Batches
from gen3r.train.loop import Trainer
from gen3r.train.objectives.base import Batch, Objective, Terms
from gen3r.train.planning.devices import FORMAT
from gen3r.train.planning.footprint import footprint, step_flops
from gen3r.train.planning.steps import STEPS, Clips, MicroStep
from gen3r.train.rng import Rng
from gen3r.train.stages import settings
from gen3r.whole_file import whole_file

Clock = Callable[[], float]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    out: Path
    """Results file (JSON); replaced if it is there."""
    cases: tuple[str, ...]
    """PRESET:STAGE[:FRAMES[:BATCH]]."""
    recompute: bool | None = None
    """Recompute activations; left out, the preset's."""
    warmup: int = 2
    """Steps before those that are timed."""
    repeats: int = 5
    """Steps that are timed; the median counts."""
    threads: int | None = None
    """CPU threads; left out, the preset's."""


class NoData(Batches):
    """Nothing: the step makes its own noise."""

    def __init__(self, size: int) -> None:
        super().__init__(size, size, seed=0)

    def make(self, items: Sequence[int], rng: torch.Generator) -> Batch:
        return {}


class Noise(Objective):
    """A traced step as an objective."""

    def __init__(self, step: MicroStep, device: torch.device) -> None:
        super().__init__(dict(step.networks.items()))
        self.frozen, self.lose, self.device = step.frozen, step.lose, device

    def loss(self, batch: Batch, rng: Rng) -> Terms:
        with torch.device(self.device):
            return Terms(self.lose(), {})


def measure(
    preset: Preset, stage: str, loop: LoopConfig, clips: Clips, options: Options, ceiling: Ceiling, clock: Clock
) -> dict[str, Any]:
    """One case."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with torch.device(device):
        step = STEPS[stage](preset, clips)
    for value in step.networks.parameters():
        if not value.requires_grad:
            value.data = value.data.to(step.frozen_dtype)
    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(Noise(step, device), NoData(clips.count), loop, Path(out))
        times = []
        for _ in range(options.warmup + options.repeats):
            synchronize(device)
            started = clock()
            trainer.optimizer_step()
            synchronize(device)
            times.append(clock() - started)
            trainer.step += 1
    del trainer, step
    seconds = statistics.median(times[options.warmup :])
    flops = step_flops(stage, preset, clips, loop)
    planned = footprint(stage, preset, clips, loop, devices=1, accumulate=1, recompute=loop.recompute)
    row = {
        "preset": preset.name,
        "stage": stage,
        "frames": clips.frames,
        "batch": clips.count,
        "size": [preset.height, preset.width],
        "recompute": loop.recompute,
        "trained_parameters": planned.trained,
        "seconds_per_step": round(seconds, 4),
        "model_tflop": round(flops / 1e12, 4),
        "model_flops_per_second": round(flops / seconds),
        "mfu": round(flops / seconds / ceiling.flops_per_second, 4),
        "planned_bytes": planned.memory.total,
    }
    if device.type == "cuda":
        row["peak_device_bytes"] = torch.cuda.max_memory_allocated(device)
    return row


def run(options: Options) -> None:
    """Measure every case; the file is written anew after each."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    alone = device.type == "cpu" and options.threads == 1
    clock: Clock = time.process_time if alone else time.perf_counter
    ceiling = matmul_ceiling(device, torch.bfloat16, clock=clock)
    record: dict[str, Any] = {
        "format": FORMAT,
        "version": 1,
        "commit": source_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_record(device) | {"load_average": round(os.getloadavg()[0], 2)},
        "clock": "time of the process" if alone else "wall",
        "ceiling": asdict(ceiling),
        "cases": [],
    }
    for case in options.cases:
        name, stage, *rest = case.split(":")
        changes: dict[str, Any] = {"accumulate": 1, "global_batch": None, "threads": options.threads}
        if options.recompute is not None:
            changes["recompute"] = options.recompute
        if len(rest) > 1:
            changes["batch_size"] = int(rest[1])
        preset, loop = settings(stage, name, changes)
        clips = Clips(loop.batch_size, int(rest[0]) if rest else preset.frames)
        try:
            row = measure(preset, stage, loop, clips, options, ceiling, clock)
        except torch.OutOfMemoryError as error:
            row = {"preset": name, "stage": stage, "out_of_memory": str(error).splitlines()[0]}
        logger.info("%s", row)
        record["cases"].append(row)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(options.out) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    run(tyro.cli(Options, description=__doc__))
