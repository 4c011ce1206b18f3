"""What a full-size Gen3R costs here: time, operations and memory of one scene or of training steps, random weights.

python benchmarks/full_size.py run --vram 12 --out RESULTS.json
python benchmarks/full_size.py train adapter --frames 25 49 --out RESULTS.json
python benchmarks/full_size.py train diffusion --batches 1 2 3 4 --out RESULTS.json
python benchmarks/full_size.py table RESULTS.json...

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
from measure.generation import Generation, measure_generation
from measure.record import circumstances, read, write
from measure.sizes import SIZES
from measure.tables import table
from measure.training import Case, measure_training

from gen3r.latents.grid import LatentGrid
from gen3r.pipeline.denoise import Sampling
from gen3r.pipeline.memory import PROFILES


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
class Table:
    """Results files as Markdown."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """What run and train have written."""


def run(options: Run) -> None:
    """Measure one generation."""
    asked = Generation(
        sizes=SIZES[options.size](),
        grid=LatentGrid(options.frames, options.height, options.width),
        sampling=Sampling(steps=options.steps, guidance=options.guidance),
        cameras=options.cameras,
        device=torch.device(options.device),
        dtype=getattr(torch, options.dtype),
        profile=None if options.vram is None else PROFILES[options.vram],
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


def main() -> None:
    """See the top of this file."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    options = tyro.extras.subcommand_cli_from_dict({"run": Run, "train": Train, "table": Table}, description=__doc__)
    if isinstance(options, Run):
        run(options)
    elif isinstance(options, Train):
        train(options)
    else:
        sys.stdout.write("\n".join(table(read(file)) for file in options.files))


if __name__ == "__main__":
    main()
