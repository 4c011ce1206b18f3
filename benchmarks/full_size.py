"""What a full-size Gen3R costs here: time, operations and memory of one scene or of training steps, random weights.

python benchmarks/full_size.py run --vram 12 --out RESULTS.json
python benchmarks/full_size.py train adapter --frames 25 49 --out RESULTS.json
python benchmarks/full_size.py train diffusion --batches 1 2 3 4 --out RESULTS.json
python benchmarks/full_size.py count --out RESULTS.json
python benchmarks/full_size.py memory --out RESULTS.json
python benchmarks/full_size.py table RESULTS.json... [--document docs/performance.md]

Results are written after every part of the measurement, so that a run that is cut short leaves what it has.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from measure.counting import adapter_step_flops, diffusion_step_flops, generation_flops
from measure.generation import Generation, measure_generation
from measure.memory import estimate
from measure.record import circumstances, read, write
from measure.sizes import SIZES
from measure.tables import table
from measure.training import Case, measure_training

from gen3r.eval.report import fill_tables
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline.acceleration import Acceleration
from gen3r.pipeline.denoise import Sampling
from gen3r.pipeline.memory import PROFILES
from gen3r.pipeline.step_cache import TaylorCache
from gen3r.whole_file import whole_file


@dataclass(frozen=True, kw_only=True)
class Common:
    """What both measurements ask."""

    out: Path
    """Results file (JSON); replaced if it is there."""
    size: Literal["full", "small"] = "full"
    """Networks of the released model, or of its structure and no size."""
    height: int = 560
    """Image rows."""
    width: int = 560
    """Image columns."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    """Where the networks work."""
    threads: int | None = None
    """CPU threads; left out, PyTorch's default."""

    def report(self, kind: str) -> Callable[[dict[str, Any]], None]:
        """Begin to measure; the result writes the file anew with each state of the results."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        known = circumstances(kind, torch.device(self.device)) | {"settings": {**asdict(self), "out": self.out.name}}
        return lambda results: write({**known, "results": results}, self.out)


@dataclass(frozen=True, kw_only=True)
class Run(Common):
    """Generate one scene from one view, with text guidance."""

    frames: int = 49
    """Frames of the clip (4k+1)."""
    steps: int = 50
    """Denoising steps."""
    guidance: float = 5.0
    """Text guidance; 1 is off."""
    cameras: str = "zoom_out"
    """Name of a trajectory, for which VGGT reads the view; or free."""
    guidance_skip: float = 0.0
    """The last share of the steps that goes without guidance."""
    compile: bool = False
    """Compile the transformer's blocks; the unwatched run takes the time for that."""
    attention: str | None = None
    """Attention backend, see gen3r.pipeline.acceleration."""
    taylor: int | None = None
    """Compute every Nth step in full and extrapolate the others."""
    vram: Literal[8, 12, 16, 24, 48, 80] | None = None
    """Memory profile, in GB; left out, everything stays on the device."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Type of all networks but VGGT and the geometry adapter, which are float32; profiles say their own."""
    text_first: bool = False
    """Encode the prompts before any other network is made, then drop the text encoder."""
    warmup_steps: int = 1
    """Denoising steps of an unwatched run before the watched one; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class Train(Common):
    """Optimizer steps in bfloat16 autocast with float32 weights, AdamW and an averaged copy of the weights."""

    objective: tyro.conf.Positional[Literal["adapter", "diffusion"]]
    """What is trained."""
    frames: tuple[int, ...] = (49,)
    """Frames of the clips (4k+1)."""
    batches: tuple[int, ...] = (1,)
    """Clips per step."""
    checkpointing: bool = True
    """Recompute activations in the backward pass."""
    warmup: int = 1
    """Steps before those that are timed."""
    repeats: int = 3
    """Steps that are timed; the median counts."""


@dataclass(frozen=True, kw_only=True)
class Count(Common):
    """Count operations without running anything: one scene, and training steps of one clip."""

    frames: int = 49
    """Frames of the clip (4k+1)."""
    steps: int = 50
    """Denoising steps, with text guidance."""


@dataclass(frozen=True, kw_only=True)
class Memory(Common):
    """Compute the device memory of one scene under each memory profile, without running anything."""

    frames: int = 49
    """Frames of the clip (4k+1)."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Results files as Markdown."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """What run and train have written."""
    document: Path | None = None
    """Put the tables between the markers that name the files in this document, instead of printing them."""


def run(options: Run) -> None:
    """Measure one generation."""
    asked = Generation(
        sizes=SIZES[options.size](),
        grid=LatentGrid(options.frames, options.height, options.width),
        sampling=Sampling(steps=options.steps, guidance=options.guidance, guidance_skip=options.guidance_skip),
        cameras=options.cameras,
        device=torch.device(options.device),
        dtype=getattr(torch, options.dtype),
        profile=None if options.vram is None else PROFILES[options.vram],
        acceleration=Acceleration(
            compile=options.compile,
            attention=options.attention,
            cache=None if options.taylor is None else TaylorCache(interval=options.taylor),
            guidance_skip=options.guidance_skip,
        ),
        text_first=options.text_first,
        warmup_steps=options.warmup_steps,
    )
    measure_generation(asked, options.report("run"))


def train(options: Train) -> None:
    """Measure training steps."""
    cases = [
        Case(
            sizes=SIZES[options.size](),
            grid=LatentGrid(frames, options.height, options.width),
            batch=batch,
            device=torch.device(options.device),
            checkpointing=options.checkpointing,
        )
        for frames, batch in product(options.frames, options.batches)
    ]
    measure_training(
        options.objective, cases, warmup=options.warmup, repeats=options.repeats, report=options.report("train")
    )


def tally(options: Count) -> None:
    """Count a generation and the two training steps."""
    sizes, grid = SIZES[options.size](), LatentGrid(options.frames, options.height, options.width)
    report = options.report("count")
    flops = generation_flops(sizes, grid, prompts=2, views_read=1)
    generation = dict(flops.networks) | {
        "transformer": 2 * (options.steps * flops.transformer_step + flops.transformer_once)
    }
    report({"generation": generation})
    training = {
        "adapter": adapter_step_flops(sizes, grid, 1, checkpointing=True),
        "diffusion": diffusion_step_flops(sizes, grid, 1, checkpointing=True),
    }
    report({"generation": generation, "training": training})


def reckon(options: Memory) -> None:
    """Compute the memory that each profile takes."""
    grid = LatentGrid(options.frames, options.height, options.width)
    options.report("memory")(estimate(SIZES[options.size](), grid))


def show(options: Table) -> None:
    """Print tables, or put them into a document."""
    if options.document is None:
        sys.stdout.write("\n".join(table(read(file)) for file in options.files))
        return
    text = options.document.read_text(encoding="utf-8")
    for file in options.files:
        text = fill_tables(text, file.as_posix(), table(read(file)))
    with whole_file(options.document) as temporary:
        temporary.write_text(text, encoding="utf-8")


def main() -> None:
    """See the top of this file."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    commands: dict[type, Callable[[Any], None]] = {Run: run, Train: train, Count: tally, Memory: reckon, Table: show}
    options = tyro.extras.subcommand_cli_from_dict(
        {command.__name__.lower(): command for command in commands}, description=__doc__
    )
    commands[type(options)](options)


if __name__ == "__main__":
    main()
