"""``gen3r eval synthetic``: measure a model against exact truth."""

import time
from dataclasses import asdict, dataclass

from gen3r.cli.evaluation.held_out import HeldOutScenes
from gen3r.cli.evaluation.results import finish
from gen3r.cli.terminal import progress_bar, working


@dataclass(frozen=True, kw_only=True)
class Synthetic(HeldOutScenes):
    """Measure a model against exact truth on generated clips that training never sees; write a JSON file."""

    batch: int = 1
    """Clips generated together; seconds_per_clip is the batch's time divided by it."""
    mean_map_count: int = 128
    """Training clips whose mean depth map is the depth baseline."""

    def run(self) -> None:
        """Render the clips, measure, write the file, print the table.

        Raises:
            ValueError: for seeds of another split, an unknown model or an unusable file name.
        """
        seeds = self.seeds()
        folder = self.loading.find()

        from gen3r.eval.baselines.depth import mean_depth_map
        from gen3r.eval.benchmarks.clips import training_depths
        from gen3r.eval.benchmarks.synthetic import SyntheticBenchmark, run_synthetic
        from gen3r.eval.report import results_record

        settings = SyntheticBenchmark(steps=self.steps, guidance=self.guidance, batch=self.batch)
        started = time.perf_counter()
        with working("Loading the model"):
            pipeline = self.loading.load(folder)
        clips = self.clips(seeds, pipeline)
        with progress_bar("Mean depth map") as advance:
            depths = training_depths(self.mean_map_count, pipeline.grid(), pipeline.device, advance=advance)
            mean_map = mean_depth_map(depths)
        with progress_bar("Measuring") as advance:
            tally = run_synthetic(pipeline, clips, mean_map, settings, advance)
        record = results_record(
            tally,
            settings=asdict(settings) | self.generation(pipeline) | {"mean_map_count": self.mean_map_count},
            **self.about(folder, pipeline, started),
        )
        finish(record, self.out)
