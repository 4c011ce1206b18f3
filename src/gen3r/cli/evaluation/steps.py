"""``gen3r eval steps``: how good scenes are after how many steps, and whether few are enough."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.evaluation.held_out import HeldOutClips
from gen3r.cli.evaluation.results import circumstances, failure_lines, generation
from gen3r.cli.output_file import write_whole
from gen3r.cli.terminal import progress_bar, say, warn, working


@dataclass(frozen=True, kw_only=True)
class Steps(HeldOutClips):
    """Measure scenes after several numbers of denoising steps; write a JSON file, and curves beside it as PNG.

    Each model shows its transformer and, if it has one, its student for few steps (docs/few_steps.md). The first model
    after --reference-steps is what all others are held against.
    """

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

    def run(self) -> None:
        """Render the clips, measure, write the files, print the tables.

        Raises:
            ValueError: for seeds of another split, unknown models, models of different sizes, or an unusable file name.
        """
        seeds = self.seeds()
        names = self.models or (self.loading.model,)
        if len(set(names)) != len(names):
            raise ValueError(f"expected different models, got {', '.join(names)}.")
        options = [replace(self.loading, model=name) for name in names]
        folders = [option.find() for option in options]

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
        if any(pipeline.grid() != pipelines[0].grid() for pipeline in pipelines):
            raise ValueError("expected models whose clips have one size; measure the others by themselves.")
        labels = [Path(name).name for name in names]
        labels = list(labels) if len(set(labels)) == len(labels) else list(names)
        subjects = [
            subject
            for label, pipeline in zip(labels, pipelines, strict=True)
            for subject in subjects_of(label, pipeline, even=self.even)
        ]
        clips = self.clips(seeds, pipelines[0])
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
            settings=generation(pipelines[0], self.reference_steps, None)
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
