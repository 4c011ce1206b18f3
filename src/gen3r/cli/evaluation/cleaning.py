"""``gen3r eval cleaning``: measure what cleaning does to clouds."""

import time
from dataclasses import asdict, dataclass

from gen3r.cli.evaluation.held_out import HeldOutScenes
from gen3r.cli.evaluation.results import finish
from gen3r.cli.terminal import progress_bar, working


@dataclass(frozen=True, kw_only=True)
class Cleaning(HeldOutScenes):
    """Measure what each cleaning level of gen3r export does to clouds, against exact truth; write a JSON file."""

    def run(self) -> None:
        """Render the clips, measure, write the file, print the table.

        Raises:
            ValueError: for seeds of another split, an unknown model or an unusable file name.
        """
        seeds = self.seeds()
        folder = self.loading.find()

        from gen3r.eval.benchmarks.cleaning import TABLE, run_cleaning
        from gen3r.eval.report import results_record
        from gen3r.scene.cleaning import CLEANING_LEVELS

        started = time.perf_counter()
        with working("Loading the model"):
            pipeline = self.loading.load(folder)
        clips = self.clips(seeds, pipeline)
        with progress_bar("Measuring") as advance:
            tally = run_cleaning(pipeline, clips, steps=self.steps, guidance=self.guidance, advance=advance)
        levels = {name: asdict(level) for name, level in CLEANING_LEVELS.items()}
        record = results_record(
            tally,
            table=TABLE,
            settings=self.generation(pipeline) | {"levels": levels},
            **self.about(folder, pipeline, started),
        )
        finish(record, self.out)
