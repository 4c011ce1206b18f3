"""``gen3r eval steps``: how good scenes are after how many steps, and whether few are enough."""

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.evaluation.results import circumstances, failure_lines, generation_settings
from gen3r.cli.model_options import ModelOptions
from gen3r.cli.output_file import check_output_file, write_whole
from gen3r.cli.seeds import check_seed
from gen3r.cli.terminal import progress_bar, say, warn, working
from gen3r.eval.benchmarks.seeds import HELD_OUT_START, benchmark_seeds


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Measure scenes after several numbers of denoising steps; write a JSON file, and curves beside it as PNG.

    Each model shows its transformer and, if it has one, its student for few steps (docs/few_steps.md). The first model
    after --reference-steps is what all others are held against.
    """

    out: Annotated[Path, tyro.conf.arg(metavar="FILE.json")]
    """Results file. gen3r eval table prints it."""
    models: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MODEL ...")] = ()
    """Names of models, or model folders, of one size. Left out, --model alone."""
    steps: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N ...")] = (1, 2, 3, 4, 6, 8, 12, 20, 30)
    """Numbers of steps."""
    student_steps: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N ...")] = ()
    """Numbers of steps of everything but the first transformer. Left out, the same."""
    reference_steps: int = 30
    """Steps of the reference."""
    even: bool = False
    """Show the transformers on the student's even noise levels as well: what the levels bring without a student."""
    seed_start: int = HELD_OUT_START
    """Seed of the first clip; the others follow. Held-out seeds start at 900000000."""
    count: int = 64
    """Number of clips."""
    pack: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Take the clips from this pack; if there is no such file, render them and keep them there."""
    allow_any_split: bool = False
    """Accept seeds below 900000000, which training or validation may have seen."""
    loading: ModelOptions = field(default_factory=ModelOptions)
    """Which model, where, and how exactly."""

    def run(self) -> None:
        """Render the clips, measure, write the files, print the tables.

        Raises:
            ValueError: for seeds of another split, unknown models, models of different sizes, or an unusable file name.
        """
        check_output_file(self.out)
        if self.pack is not None:
            check_output_file(self.pack, "--pack")
        check_seed(self.seed_start, "--seed-start", self.count)
        seeds = benchmark_seeds(self.seed_start, self.count, allow_any_split=self.allow_any_split)
        names = self.models or (self.loading.model,)
        if len(set(names)) != len(names):
            raise ValueError(f"expected different models, got {', '.join(names)}.")
        options = [replace(self.loading, model=name) for name in names]
        folders = [option.find() for option in options]

        from gen3r.eval.benchmarks.clips import benchmark_clips
        from gen3r.eval.report import markdown_table, results_record, to_json
        from gen3r.eval.steps.curves import draw_curves
        from gen3r.eval.steps.quantities import COLUMNS, HEADINGS, row_of
        from gen3r.eval.steps.run import StepsBenchmark, run_steps
        from gen3r.eval.steps.subjects import subjects_of
        from gen3r.eval.steps.verdict import losses_record, losses_table

        settings = StepsBenchmark(
            steps=self.steps, student_steps=self.student_steps or None, reference_steps=self.reference_steps
        )
        started = time.perf_counter()
        with working("Loading the models"):
            pipelines = [option.load(folder) for option, folder in zip(options, folders, strict=True)]
        grid = pipelines[0].grid()
        if any(pipeline.grid() != grid for pipeline in pipelines):
            raise ValueError("expected models whose clips have one size; measure the others by themselves.")
        labels = [Path(name).name for name in names]
        labels = list(labels) if len(set(labels)) == len(labels) else list(names)
        subjects = [
            subject
            for label, pipeline in zip(labels, pipelines, strict=True)
            for subject in subjects_of(label, pipeline, even=self.even)
        ]
        with progress_bar("Rendering clips") as advance:
            clips = benchmark_clips(seeds, grid, pipelines[0].device, pack=self.pack, advance=advance)
        with progress_bar("Measuring") as advance:
            tally = run_steps(subjects, clips, settings, advance)
        runs = settings.runs(subjects)
        rows = {
            row_of(subject.label, steps): f"{subject.label}, {steps} steps"
            for subject, steps in sorted(runs, key=lambda run: (subjects.index(run[0]), run[1]))
        }
        numbers = {str(seed): scores for seed, scores in tally.scores.items()}
        reference = row_of(subjects[0].label, self.reference_steps)
        record = results_record(
            tally,
            table={"rows": rows, "columns": dict(HEADINGS)},
            quantities={name: asdict(quantity) for name, quantity in COLUMNS.items()},
            subjects={
                subject.label: sorted(steps for other, steps in runs if other is subject) for subject in subjects
            },
            reference=reference,
            against_reference=losses_record(numbers, [row for row in rows if row != reference], reference),
            settings=generation_settings(pipelines[0], self.reference_steps, None)
            | asdict(settings)
            | {"students": [None if few is None else asdict(few) for few in (p.config.few_steps for p in pipelines)]},
            seeds={"start": self.seed_start, "count": self.count},
            models=[
                circumstances(option, folder, pipeline, started)["model"]
                for option, folder, pipeline in zip(options, folders, pipelines, strict=True)
            ],
            **circumstances(options[0], folders[0], pipelines[0], started),
        )
        write_whole(self.out, to_json(record))
        picture = self.out.with_suffix(".png")
        draw_curves(record, picture)
        say(markdown_table(record))
        say(losses_table(record["against_reference"], rows, HEADINGS))
        for line in failure_lines(record):
            warn(line)
        say(f"Results in {self.out}, curves in {picture}")
