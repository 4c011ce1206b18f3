"""``gen3r eval ablations``: train variants of a preset on equal terms, measure them, and hold them against claims."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gen3r.cli.data.running import Running, run_units
from gen3r.cli.evaluation.results import command_line
from gen3r.cli.seeds import check_seed
from gen3r.cli.terminal import note, progress_bar, say, working
from gen3r.eval.benchmarks.seeds import HELD_OUT_START, benchmark_seeds

if TYPE_CHECKING:
    from gen3r.eval.ablations.study import StudyConfig


@dataclass(frozen=True, kw_only=True)
class Ablations:
    """Train the ablation set and tabulate it (docs/ablations.md): geometry codecs, alignment, resolution of the
    geometry latent, training without cameras, the course of given views.

    All variants get the same data and steps. Stopped half way, the same command goes on; runs that are done are not
    done again, and more groups, seeds or clips can be asked for later.
    """

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of runs and results: results.json, and per group GROUP.json, GROUP.md and GROUP.png."""
    preset: str = "micro"
    """The preset that is varied; a run of micro takes minutes on a CPU core."""
    seeds: int = 2
    """Runs of every variant."""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="GROUP ...")] = ()
    """Groups: codec, alignment, resolution, camera-drop, curriculum. Left out, all."""
    minutes_per_run: Annotated[float | None, tyro.conf.arg(metavar="M")] = None
    """Minutes of diffusion training per run; steps follow from the speed here and are the same for all variants."""
    steps_scale: Annotated[float, tyro.conf.arg(metavar="S")] = 1.0
    """Steps of every stage, as a multiple of the preset's."""
    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="PATH ...")] = ()
    """What to train on: packs, dataset folders, mixture files. Left out, generated clips."""
    clips: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Use at most this many training clips."""
    networks: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FOLDER ...")] = ()
    """Runs, model folders or names of models with a trained VGGT and VAE; what is nowhere is trained. Adapters are
    trained here in any case, on equal terms."""
    count: int = 256
    """Held-out clips that every run is measured on."""
    seed_start: int = HELD_OUT_START
    """Seed of the first held-out clip."""
    pack: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Take the held-out clips from this pack; if there is no such file, render them and keep them there."""
    batch: int = 8
    """Clips generated together."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Denoising steps. Left out, the preset's."""
    tabulate_only: bool = False
    """Make tables and pictures of what is in DIR/results.json; train and measure nothing."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Train, measure, write the tables, print them.

        Raises:
            ValueError: for an unknown preset or group, unusable data, a folder of another study, or runs that failed.
        """
        from gen3r.eval.ablations.results import read_study_results, tabulate, write_results

        if self.tabulate_only:
            say(tabulate(read_study_results(self.out), self.out).rstrip())
            return
        if self.minutes_per_run is not None and self.steps_scale != 1.0:
            raise ValueError("expected --minutes-per-run or --steps-scale, got both: each says how long a run is.")
        check_seed(self.seed_start, "--seed-start", self.count)
        benchmark_seeds(self.seed_start, self.count)

        from gen3r.eval.ablations.measuring import held_out
        from gen3r.eval.ablations.study import Study
        from gen3r.eval.ablations.training import sources_of
        from gen3r.eval.ablations.work import TrainAndMeasure, runs_due

        command = command_line()
        study = Study(self._config())
        with working("Looking at data and networks"):
            study.begin(sources_of(study))
        if any(runs_due(study)):
            with progress_bar("Held-out clips") as advance:
                held_out(study, advance=advance)
        settings = {"config": asdict(study.config), "command": command}
        for number, label in enumerate(("VGGT and VAE", "Adapters", "Diffusion and measuring")):
            due = runs_due(study)[number]
            if not due:
                continue
            note(f"{label}: {len(due)} runs")
            items = [{"key": run.name} for run in due]
            report = run_units(
                label, TrainAndMeasure, settings, items, self.out, self.running, gpus=self.running.gpus()
            )
            if report.failed:
                raise ValueError(
                    f"{len(report.failed)} of {len(due)} runs failed; see above, and run the command again."
                )
        say(tabulate(write_results(study, command=command), self.out).rstrip())
        say(f"\nResults in {self.out}")

    def _config(self) -> "StudyConfig":
        from gen3r.eval.ablations.study import StudyConfig
        from gen3r.eval.ablations.timing import planned_steps

        with working("Timing a step"):
            steps = planned_steps(self.out, self.preset, self.minutes_per_run)
        return StudyConfig(
            out=str(self.out.resolve()),
            preset=self.preset,
            seeds=self.seeds,
            groups=self.only,
            scale=self.steps_scale,
            steps=steps,
            minutes=self.minutes_per_run,
            data=tuple(str(path.resolve()) for path in self.data),
            clips=self.clips,
            networks=tuple(str(Path(place).resolve()) if Path(place).exists() else place for place in self.networks),
            seed_start=self.seed_start,
            count=self.count,
            pack=None if self.pack is None else str(self.pack.resolve()),
            batch=self.batch,
            sampling_steps=self.steps,
        )
