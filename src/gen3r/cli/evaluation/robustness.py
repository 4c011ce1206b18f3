"""``gen3r eval robustness``: what wrong cameras and spoiled views do to generated scenes, and the curves of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gen3r.cli.evaluation.held_out import HeldOutScenes
from gen3r.cli.evaluation.results import finish
from gen3r.cli.output_file import check_output_file
from gen3r.cli.terminal import note, progress_bar, say, working

if TYPE_CHECKING:
    from gen3r.data.clip import Clip
    from gen3r.pipeline import Gen3RPipeline


@dataclass(frozen=True, kw_only=True)
class Robustness(HeldOutScenes):
    """Measure scenes generated from wrong cameras and spoiled views against the clean truth; write a JSON file.

    Goes on where it was stopped, clip by clip.
    """

    out: Annotated[Path, tyro.conf.arg(metavar="FILE.json")]
    """Results file. gen3r eval table prints it, gen3r eval robustness-curves draws it."""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Perturbations to measure, such as focal or jpeg. Left out, all of them; an unknown name lists them."""
    count: int = 64
    """Number of clips. Every one takes about thirty scenes."""
    batch: int = 1
    """Clips generated together."""

    def run(self) -> None:
        """Render the clips, measure, write the file, print the table.

        Raises:
            ValueError: for an unknown perturbation, seeds of another split, an unknown model or an unusable file name.
        """
        if self.batch < 1:
            raise ValueError(f"expected a batch of at least one clip, got {self.batch}.")
        seeds = self.seeds()

        from gen3r.eval.report import results_record
        from gen3r.eval.robustness import benchmark as robustness
        from gen3r.eval.robustness.perturbations.registry import chosen_perturbations
        from gen3r.eval.robustness.progress import Progress
        from gen3r.eval.robustness.run import run_robustness
        from gen3r.eval.suite.benchmark import SuiteSettings, benchmark_quantities

        benchmark = robustness.Robustness(chosen_perturbations(self.only))
        settings = SuiteSettings(steps=self.steps, guidance=self.guidance)
        started = time.perf_counter()
        folder = self.loading.find()
        with working("Loading the model"):
            pipeline = self.loading.load(folder)
        described = {
            **asdict(settings),
            **self.generation(pipeline),
            "batch": self.batch,
            "views": list(robustness.VIEWS),
            "perturbations": {
                case.row: {"unit": case.perturbation.unit.strip(), "strength": case.strength}
                for case in benchmark.cases
            },
        }
        about = self.about(folder, pipeline, started)
        identity = {"settings": described, "model": about["model"], "commit": about["commit"]}
        progress = Progress(self.out, identity, benchmark_quantities(benchmark), seeds)
        if progress.resumed:
            note(f"Going on after {progress.resumed} clips")
        clips_of = self._clips_of(seeds, pipeline)
        with progress_bar("Measuring") as advance:
            run_robustness(pipeline, benchmark, seeds, clips_of, progress, settings, batch=self.batch, advance=advance)
        record = results_record(
            progress.tally,
            table=benchmark.table(),
            quantities={name: asdict(benchmark.columns[name]) for name in robustness.SHOWN},
            settings=described,
            **self.about(folder, pipeline, started),
        )
        finish(record, self.out)
        progress.finish()

    def _clips_of(self, seeds: range, pipeline: "Gen3RPipeline") -> "Callable[[Sequence[int]], list[Clip]]":
        """The clips of some of the seeds: from the pack, or rendered when they are asked for."""
        from gen3r.eval.benchmarks.clips import benchmark_clips

        if self.pack is None:
            return partial(benchmark_clips, grid=pipeline.grid(), device=pipeline.device)
        by_seed = {clip.seed: clip for clip in self.clips(seeds, pipeline)}
        return lambda some: [by_seed[seed] for seed in some]


@dataclass(frozen=True, kw_only=True)
class RobustnessCurves:
    """Draw quality over the strength of what goes wrong, for one results file or several above each other."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE.json ...")]
    """What gen3r eval robustness wrote; before and after, for instance."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.png")]
    """The picture."""
    labels: Annotated[tuple[str, ...], tyro.conf.arg(metavar="WORD ...")] = ()
    """What to call the files in the picture. Left out, their names."""

    def run(self) -> None:
        """Draw.

        Raises:
            ValueError: for a file that is no such results file, or labels that are not as many as the files.
        """
        check_output_file(self.out)

        from gen3r.eval.report import read_results
        from gen3r.eval.robustness.curves import draw_curves

        labels = self.labels or tuple(file.stem for file in self.files)
        if len(set(labels)) != len(self.files):
            raise ValueError(f"expected one label for each of {len(self.files)} files, all different, got {labels}.")
        draw_curves({label: read_results(file) for label, file in zip(labels, self.files, strict=True)}, self.out)
        say(f"Curves in {self.out}")
