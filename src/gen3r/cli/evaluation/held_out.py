"""What the ``gen3r eval`` tasks share that measure models on clips of held-out seeds: options, and how they begin."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from gen3r.cli.evaluation.results import circumstances, generation
from gen3r.cli.model_options import ModelOptions
from gen3r.cli.output_file import check_output_file
from gen3r.cli.seeds import check_seed
from gen3r.cli.terminal import progress_bar
from gen3r.eval.benchmarks.seeds import HELD_OUT_START, benchmark_seeds

if TYPE_CHECKING:
    from gen3r.data.clip import Clip
    from gen3r.hub.layout import ModelFolder
    from gen3r.pipeline import Gen3RPipeline


@dataclass(frozen=True, kw_only=True)
class HeldOutClips:
    """A task on generated clips that training never sees."""

    out: Annotated[Path, tyro.conf.arg(metavar="FILE.json")]
    """Results file. gen3r eval table prints it."""
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

    def seeds(self) -> range:
        """The seeds of the clips.

        Raises:
            ValueError: for seeds of another split, or a results file or pack that could not be written.
        """
        check_output_file(self.out)
        if self.pack is not None:
            check_output_file(self.pack, "--pack")
        check_seed(self.seed_start, "--seed-start", self.count)
        return benchmark_seeds(self.seed_start, self.count, allow_any_split=self.allow_any_split)

    def clips(self, seeds: range, pipeline: "Gen3RPipeline") -> "list[Clip]":
        """The clips of ``seeds`` in the size of the model, rendered or out of the pack."""
        from gen3r.eval.benchmarks.clips import benchmark_clips

        with progress_bar("Rendering clips") as advance:
            return benchmark_clips(seeds, pipeline.grid(), pipeline.device, pack=self.pack, advance=advance)

    def about(self, folder: "ModelFolder", pipeline: "Gen3RPipeline", started: float) -> dict[str, Any]:
        """The seeds and the `circumstances`, for the results file."""
        seeds = {"start": self.seed_start, "count": self.count}
        return {"seeds": seeds, **circumstances(self.loading, folder, pipeline, started)}


@dataclass(frozen=True, kw_only=True)
class HeldOutScenes(HeldOutClips):
    """A task on scenes of one model, generated for such clips."""

    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Denoising steps. Left out, the model's own."""
    guidance: Annotated[float | None, tyro.conf.arg(metavar="W")] = None
    """Weight of the text; 1 turns guidance off. Left out, the model's own."""

    def generation(self, pipeline: "Gen3RPipeline") -> dict[str, Any]:
        """How the scenes are generated, for the results file."""
        return generation(pipeline, self.steps, self.guidance)
