"""``gen3r eval``: measure a model, and print what was measured."""

import shlex
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from gen3r.cli.model_options import ModelOptions
from gen3r.cli.output_file import check_output_file, write_whole
from gen3r.cli.seeds import check_seed
from gen3r.cli.terminal import progress_bar, say, warn, working
from gen3r.eval.benchmarks.seeds import HELD_OUT_START, benchmark_seeds

if TYPE_CHECKING:
    from gen3r.hub.layout import ModelFolder
    from gen3r.pipeline import Gen3RPipeline


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


@dataclass(frozen=True, kw_only=True)
class Table:
    """Print a results file as a Markdown table."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.json")]
    """What gen3r eval synthetic wrote."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Show only these, in this order."""
    into: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE.md ...")] = ()
    """Put the table into these documents, between the lines <!-- table: FILE.json --> and <!-- /table -->."""

    def run(self) -> None:
        """Print the table, or put it into documents.

        Raises:
            ValueError: if the file is no results file or lacks a metric, or a document has no place for the table.
        """
        from gen3r.eval.report import fill_tables, markdown_table, read_results

        table = markdown_table(read_results(self.file), self.metrics or None)
        if not self.into:
            say(table.rstrip())
            return
        filled = {path: fill_tables(read_text(path), self.file.as_posix(), table) for path in self.into}
        for path, text in filled.items():
            write_whole(path, text)
            say(f"Table of {self.file} in {path}")


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Measure a model on generated clips with exact truth."""

    task: (
        Annotated[Synthetic, tyro.conf.subcommand("synthetic")]
        | Annotated[Cleaning, tyro.conf.subcommand("cleaning")]
        | Annotated[Table, tyro.conf.subcommand("table")]
    )

    def run(self) -> None:
        """Run the chosen task."""
        self.task.run()


def generation_settings(pipeline: "Gen3RPipeline", steps: int | None, guidance: float | None) -> dict[str, Any]:
    """How scenes are generated, for the results file."""
    grid = pipeline.grid()
    return {
        "steps": steps or pipeline.config.steps,
        "guidance": pipeline.config.guidance if guidance is None else guidance,
        "frames": grid.frames,
        "size": list(grid.size),
        "dtype": str(pipeline.transformer.dtype).removeprefix("torch."),
        "memory": None if pipeline.memory is None else pipeline.memory.name,
        "numerics": pipeline.numerics.name,
    }


def circumstances(
    loading: ModelOptions, folder: "ModelFolder", pipeline: "Gen3RPipeline", started: float
) -> dict[str, Any]:
    """Model, machine, commit, command and the seconds since ``started``, for the results file."""
    from gen3r.eval.machine import folder_hash, machine_record, source_commit

    return {
        "model": {
            "name": pipeline.config.name,
            "revision": pipeline.config.revision,
            "asked_for": loading.model,
            "sha256": folder_hash(folder.path),
            "companions": {name: folder_hash(path) for name, path in folder.companions.items()},
        },
        "machine": machine_record(pipeline.device),
        "commit": source_commit(),
        "command": shlex.join(["gen3r", *sys.argv[1:]]),
        "seconds": round(time.perf_counter() - started, 1),
    }


def finish(record: dict[str, Any], out: Path) -> None:
    """Write the results file and print the table and the failures."""
    from gen3r.eval.report import markdown_table, to_json

    write_whole(out, to_json(record))
    say(markdown_table(record))
    for line in failure_lines(record):
        warn(line)
    say(f"Results in {out}")


def read_text(path: Path) -> str:
    """A text file of the user's; ValueError if there is none."""
    if not path.is_file():
        raise ValueError(f"expected a Markdown file, but there is none at {path}; check the path.")
    return path.read_text(encoding="utf-8")


def failure_lines(record: dict) -> list[str]:
    """One line per stage that failed on some clips, with its first error."""
    clips = len(record["clips"])
    stages = dict.fromkeys(failure["stage"] for failure in record["failures"])
    lines = []
    for stage in stages:
        errors = [failure["error"] for failure in record["failures"] if failure["stage"] == stage]
        lines.append(f"{stage}: no result on {len(errors)} of {clips} clips, counted as worst; the first: {errors[0]}")
    return lines
