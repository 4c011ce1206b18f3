"""``gen3r eval cleaning``: measure what cleaning does to clouds."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.evaluation.results import circumstances, finish, generation_settings
from gen3r.cli.model_options import ModelOptions
from gen3r.cli.output_file import check_output_file
from gen3r.cli.seeds import check_seed
from gen3r.cli.terminal import progress_bar, working
from gen3r.eval.benchmarks.seeds import HELD_OUT_START, benchmark_seeds


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """Measure what each cleaning level of gen3r export does to clouds, against exact truth; write a JSON file."""

    out: Annotated[Path, tyro.conf.arg(metavar="FILE.json")]
    """Results file. gen3r eval table prints it."""
    seed_start: int = HELD_OUT_START
    """Seed of the first clip; the others follow. Held-out seeds start at 900000000."""
    count: int = 64
    """Number of clips."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Denoising steps. Left out, the model's own."""
    guidance: Annotated[float | None, tyro.conf.arg(metavar="W")] = None
    """Weight of the text; 1 turns guidance off. Left out, the model's own."""
    pack: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Take the clips from this pack; if there is no such file, render them and keep them there."""
    allow_any_split: bool = False
    """Accept seeds below 900000000, which training or validation may have seen."""
    loading: ModelOptions = field(default_factory=ModelOptions)
    """Which model, where, and how exactly."""

    def run(self) -> None:
        """Render the clips, measure, write the file, print the table.

        Raises:
            ValueError: for seeds of another split, an unknown model or an unusable file name.
        """
        check_output_file(self.out)
        if self.pack is not None:
            check_output_file(self.pack, "--pack")
        check_seed(self.seed_start, "--seed-start", self.count)
        seeds = benchmark_seeds(self.seed_start, self.count, allow_any_split=self.allow_any_split)
        folder = self.loading.find()

        from gen3r.eval.benchmarks.cleaning import TABLE, run_cleaning
        from gen3r.eval.benchmarks.clips import benchmark_clips
        from gen3r.eval.report import results_record
        from gen3r.scene.cleaning import CLEANING_LEVELS

        started = time.perf_counter()
        with working("Loading the model"):
            pipeline = self.loading.load(folder)
        with progress_bar("Rendering clips") as advance:
            clips = benchmark_clips(seeds, pipeline.grid(), pipeline.device, pack=self.pack, advance=advance)
        with progress_bar("Measuring") as advance:
            tally = run_cleaning(pipeline, clips, steps=self.steps, guidance=self.guidance, advance=advance)
        levels = {name: asdict(level) for name, level in CLEANING_LEVELS.items()}
        settings = generation_settings(pipeline, self.steps, self.guidance) | {"levels": levels}
        record = results_record(
            tally,
            table=TABLE,
            settings=settings,
            seeds={"start": self.seed_start, "count": self.count},
            **circumstances(self.loading, folder, pipeline, started),
        )
        finish(record, self.out)
