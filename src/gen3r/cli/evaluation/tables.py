"""``gen3r eval tables``: the paper's tables, measured on held-out seeds or on datasets of one's own."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gen3r.cli.data.running import Running, run_units
from gen3r.cli.evaluation.results import command_line, failure_lines
from gen3r.cli.evaluation.time_left import TimeLeft
from gen3r.cli.model_options import ModelOptions
from gen3r.cli.seeds import check_seed
from gen3r.cli.terminal import say, warn, working
from gen3r.eval.benchmarks.seeds import HELD_OUT_START, benchmark_seeds

if TYPE_CHECKING:
    from gen3r.eval.suite.config import ClipChoice, ModelChoice
    from gen3r.hub.layout import ModelFolder

SYNTHETIC = "synthetic"
SYNTHETIC_COUNT = 256
"""Clips that are generated if nobody says how many."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Measure a model as the tables of the paper do, on held-out seeds or on your own data (docs/evaluation.md).

    Stopped half way, the same command goes on; clips that are measured are not measured again.
    """

    tables: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TABLE ...")] = ()
    """Which tables, such as t1 t3 t8. Left out, all."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the results: TABLE.json, TABLE.md and TABLE.png each, or one to go on with."""
    data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="synthetic|DATASET ...")] = (SYNTHETIC,)
    """Clips generated from held-out seeds, or datasets: folders of clip folders, or of tar shards."""
    count: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Number of clips, spread evenly over datasets. Left out, 256 seeds, or all clips of datasets."""
    seed_start: int = HELD_OUT_START
    """Seed of the first generated clip; the others follow. Held-out seeds start at 900000000."""
    split: Literal["train", "validation", "held-out", "all"] = "held-out"
    """Which clips of datasets."""
    stride: int = 1
    """Distance of neighbouring frames of a clip in its scene."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Denoising steps. Left out, the model's own."""
    guidance: Annotated[float | None, tyro.conf.arg(metavar="W")] = None
    """Weight of the text; 1 turns guidance off. Left out, the model's own."""
    noise_seed: int = 0
    """Added to each clip's seed to seed its noise."""
    batch: int = 1
    """Clips generated together."""
    allow_any_split: bool = False
    """Accept seeds below 900000000, which training or validation may have seen."""
    other_commits: bool = False
    """Keep what another commit of this code measured in the same folder."""
    loading: ModelOptions = field(default_factory=ModelOptions)
    """Which model, where, and how exactly."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Measure what is not measured yet, write the results, print the tables.

        Raises:
            ValueError: for unknown tables, unusable data or models, a folder with results of another run, or if clips
                could not be measured.
        """
        clips = self._clips()
        folder = self.loading.find()

        from gen3r.eval.machine import source_commit
        from gen3r.eval.report import markdown_table
        from gen3r.eval.suite.benchmark import SuiteSettings
        from gen3r.eval.suite.config import SuiteConfig
        from gen3r.eval.suite.engine import write_results
        from gen3r.eval.suite.plan import plan_suite
        from gen3r.eval.suite.registry import benchmark_modules
        from gen3r.eval.suite.work import MeasureClips

        config = SuiteConfig(
            out=str(self.out.resolve()),
            model=self._model(folder),
            clips=clips,
            benchmarks=benchmark_modules(self.tables),
            generation=SuiteSettings(steps=self.steps, guidance=self.guidance, noise_seed=self.noise_seed),
            batch=self.batch,
            commit=source_commit(),
        )
        with working("Looking at model and clips"):
            plan = plan_suite(config, folder, other_commits=self.other_commits)
            items = plan.items()
        if items:
            gpus = self.running.gpus(config.model.device)
            report = run_units(
                "Measuring",
                MeasureClips,
                config.settings(),
                items,
                self.out,
                self.running,
                gpus=gpus,
                progress=TimeLeft("groups of clips measured"),
            )
            if report.failed:
                raise ValueError(
                    f"{len(report.failed)} of {len(items)} groups of clips could not be measured; see above, and run "
                    "the command again."
                )
        records = write_results(plan, command=command_line())
        for name, record in records.items():
            say(f"\n{name}: {record['title']}\n")
            say(markdown_table(record).rstrip())
            for line in failure_lines(record):
                warn(line)
        say(f"\nResults in {self.out}")

    def _clips(self) -> "ClipChoice":
        from gen3r.eval.suite.config import ClipChoice

        if SYNTHETIC not in self.data:
            split = None if self.split == "all" else self.split
            datasets = tuple(str(Path(path).resolve()) for path in self.data)
            return ClipChoice(datasets=datasets, split=split, stride=self.stride, count=self.count)
        if len(self.data) > 1:
            raise ValueError(f"expected {SYNTHETIC} clips or datasets, got both: {' '.join(self.data)}; run it twice.")
        count = SYNTHETIC_COUNT if self.count is None else self.count
        check_seed(self.seed_start, "--seed-start", count)
        benchmark_seeds(self.seed_start, count, allow_any_split=self.allow_any_split)
        return ClipChoice(seed_start=self.seed_start, count=count)

    def _model(self, folder: "ModelFolder") -> "ModelChoice":
        from gen3r.cli.device import AUTO, resolve_device
        from gen3r.eval.suite.config import ModelChoice

        device = self.loading.device
        if device == AUTO and self.running.backend == "ray":
            device = "cuda" if self.running.gpus(device) else "cpu"
        cache = self.loading.text_cache_folder(folder)
        named = self.loading.model
        return ModelChoice(
            model=str(Path(named).resolve()) if Path(named).is_dir() else named,
            revision=self.loading.revision,
            device=str(resolve_device(device)) if self.running.backend == "local" else device,
            dtype=self.loading.dtype,
            vram=self.loading.vram,
            numerics=self.loading.numerics,
            text_cache=None if cache is None else str(cache),
        )
