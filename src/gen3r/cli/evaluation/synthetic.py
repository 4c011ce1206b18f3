"""``gen3r eval synthetic``: measure a model against exact truth."""

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
class Synthetic:
    """Measure a model against exact truth on generated clips that training never sees; write a JSON file."""

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
    batch: int = 1
    """Clips generated together; seconds_per_clip is the batch's time divided by it."""
    mean_map_count: int = 128
    """Training clips whose mean depth map is the depth baseline."""
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

        from gen3r.eval.baselines.depth import mean_depth_map
        from gen3r.eval.benchmarks.clips import benchmark_clips, training_depths
        from gen3r.eval.benchmarks.synthetic import SyntheticBenchmark, run_synthetic
        from gen3r.eval.report import results_record

        settings = SyntheticBenchmark(steps=self.steps, guidance=self.guidance, batch=self.batch)
        started = time.perf_counter()
        with working("Loading the model"):
            pipeline = self.loading.load(folder)
        grid, device = pipeline.grid(), pipeline.device
        with progress_bar("Rendering clips") as advance:
            clips = benchmark_clips(seeds, grid, device, pack=self.pack, advance=advance)
        with progress_bar("Mean depth map") as advance:
            mean_map = mean_depth_map(training_depths(self.mean_map_count, grid, device, advance=advance))
        with progress_bar("Measuring") as advance:
            tally = run_synthetic(pipeline, clips, mean_map, settings, advance)
        record = results_record(
            tally,
            settings={
                **asdict(settings),
                **generation_settings(pipeline, self.steps, self.guidance),
                "mean_map_count": self.mean_map_count,
            },
            seeds={"start": self.seed_start, "count": self.count},
            **circumstances(self.loading, folder, pipeline, started),
        )
        finish(record, self.out)
