"""Training steps at full size: the loop, the objectives and the optimizer of ``gen3r.train`` on random batches."""

from __future__ import annotations

import gc
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from gen3r.latents.grid import LatentGrid
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import DiffusionStage, TextConfig
from gen3r.train.batches import Batches
from gen3r.train.loop import Trainer
from gen3r.train.losses.adapter import AdapterLossConfig
from gen3r.train.objectives.adapter import AdapterObjective
from gen3r.train.objectives.base import Batch, Objective
from gen3r.train.objectives.diffusion import DiffusionObjective
from measure.ceiling import Ceiling, matmul_ceiling, synchronize
from measure.counting import adapter_step_flops, diffusion_step_flops
from measure.formulas import image_rows
from measure.networks import (
    Place,
    appearance_codec,
    make_adapter,
    make_transformer,
    make_vae,
    make_vggt,
    parameter_count,
)
from measure.record import GIB, peak_host_gib, rounded
from measure.sizes import Sizes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of step."""

    sizes: Sizes
    """Of the networks."""
    grid: LatentGrid
    """Of the clips."""
    batch: int
    """Clips per step."""
    device: torch.device
    """Where everything is."""
    checkpointing: bool
    """Recompute activations in the backward pass."""


class RandomBatches(Batches):
    """The same random batch, whatever is asked for: loading is not what is measured."""

    def __init__(self, batch: Batch, size: int) -> None:
        super().__init__(size, size, seed=0)
        self.batch = batch

    def make(self, items: Sequence[int], rng: torch.Generator) -> Batch:
        return self.batch

    def at(self, step: int, first: int = 0, size: int | None = None, total: int | None = None) -> Batch:
        return self.batch


# what is trained --------------------------------------------------------------------------------------------------


def adapter_case(case: Case) -> tuple[Objective, Batch]:
    """Stage 1: VGGT and VAE frozen, tokens encoded and decoded, heads compared on all frames."""
    place = Place(device=case.device, dtype=torch.float32)
    adapter = make_adapter(case.sizes, place).requires_grad_(True)
    adapter.set_gradient_checkpointing(case.checkpointing)
    vggt = make_vggt(case.sizes, place)
    appearance = appearance_codec(case.sizes, make_vae(case.sizes, place), case.device)
    objective = AdapterObjective(adapter, vggt, appearance, AdapterLossConfig(), kl_average=0.99)
    return objective, {"images": torch.rand(case.batch, case.grid.frames, 3, *case.grid.size, device=case.device)}


def diffusion_case(case: Case) -> tuple[Objective, Batch]:
    """Stage 2 on cached latents and features."""
    config, grid = case.sizes.transformer, case.grid
    transformer = make_transformer(case.sizes, Place(device=case.device, dtype=torch.float32)).requires_grad_(True)
    if case.checkpointing:
        transformer.enable_gradient_checkpointing()
    stage = DiffusionStage(network=config, text=TextConfig(), loop=_loop(case.batch))
    shapes = {
        "clean": grid.joint_shape,
        "control": (config.control_channels, *grid.joint_shape[1:]),
        "text": (config.text_length, config.text_dim),
        "camera": (config.camera_channels, grid.latent_frames, grid.height, 2 * grid.width),
        "image": (image_rows(case.sizes.image), config.image_dim),
    }
    batch = {name: torch.randn(case.batch, *shape, device=case.device) for name, shape in shapes.items()}
    return DiffusionObjective(transformer, None, stage), batch


@dataclass(frozen=True, kw_only=True)
class Kind:
    """An objective to measure."""

    build: Callable[[Case], tuple[Objective, Batch]]
    """Its networks and a batch."""
    flops: Callable[[Case], Mapping[str, int]]
    """Operations of a step: ``model`` without, ``hardware`` with what gradient checkpointing computes again."""


KINDS: Mapping[str, Kind] = {
    "adapter": Kind(
        build=adapter_case, flops=lambda case: adapter_step_flops(case.sizes, case.grid, case.batch, case.checkpointing)
    ),
    "diffusion": Kind(
        build=diffusion_case,
        flops=lambda case: diffusion_step_flops(case.sizes, case.grid, case.batch, case.checkpointing),
    ),
}
"""By name."""


# measuring --------------------------------------------------------------------------------------------------------


def measure_training(
    kind: str, cases: Sequence[Case], *, warmup: int, repeats: int, report: Callable[[dict[str, Any]], None]
) -> None:
    """Time ``repeats`` steps of each case after ``warmup`` steps. ``report`` is given all results so far, each time.

    A case that does not fit the device is noted as such, and the next one tried.
    """
    ceiling = matmul_ceiling(cases[0].device, torch.bfloat16)
    results: dict[str, Any] = {"objective": kind, "ceiling": asdict(ceiling), "cases": []}
    for case in cases:
        row: dict[str, Any] = {
            "frames": case.grid.frames,
            "size": list(case.grid.size),
            "batch": case.batch,
            "gradient_checkpointing": case.checkpointing,
        }
        try:
            row |= _measure(KINDS[kind], case, ceiling, warmup, repeats)
        except torch.OutOfMemoryError as error:
            row["out_of_memory"] = str(error).splitlines()[0]
        results["cases"].append(row)
        logger.info("%s %s", kind, row)
        report(results)


def _measure(kind: Kind, case: Case, ceiling: Ceiling, warmup: int, repeats: int) -> dict[str, Any]:
    flops = kind.flops(case)
    gc.collect()
    if case.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(case.device)
    objective, batch = kind.build(case)
    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(objective, RandomBatches(batch, case.batch), _loop(case.batch), Path(out))
        times = []
        for step in range(warmup + repeats):
            synchronize(case.device)
            started = time.perf_counter()
            values = trainer.optimizer_step()
            synchronize(case.device)
            times.append(time.perf_counter() - started)
            trainer.step += 1
            logger.info("step %d: %.2f s, loss %.4g", step, times[-1], values["total"])
    seconds = statistics.median(times[warmup:])
    numbers = {
        "seconds_per_step": seconds,
        "trained_parameters": float(parameter_count(objective.networks)),
        "model_tflop": flops["model"] / 1e12,
        "hardware_tflop": flops["hardware"] / 1e12,
        "model_fraction_of_ceiling": flops["model"] / seconds / ceiling.flops_per_second,
        "hardware_fraction_of_ceiling": flops["hardware"] / seconds / ceiling.flops_per_second,
        "peak_host_gib": peak_host_gib(),
    }
    if case.device.type == "cuda":
        numbers["peak_device_gib"] = torch.cuda.max_memory_allocated(case.device) / GIB
        numbers["peak_device_reserved_gib"] = torch.cuda.max_memory_reserved(case.device) / GIB
    return rounded(numbers)


def _loop(batch: int) -> LoopConfig:
    return LoopConfig(steps=1000, batch_size=batch, lr=1e-5, precision="bf16")
