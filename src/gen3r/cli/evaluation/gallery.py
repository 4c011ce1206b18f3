"""``gen3r eval gallery``: the worst clips as pictures, with what is special about them."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.evaluation.results import circumstances
from gen3r.cli.model_options import ModelOptions
from gen3r.cli.terminal import progress_bar, say, warn, working

NOTICEABLE = 0.02
"""Relative difference from which on the numbers of a clip are no longer the same."""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Draw the worst held-out clips of a model: a page per clip, an index, and what bad clips have in common.

    The scenes of all clips of the results are made once more, with the same seeds and settings.
    """

    results: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE.json ...")]
    """What gen3r eval synthetic or gen3r eval tables wrote about the model (t1 and t2). What they lack is measured."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder to make: README.md, index.png, gallery.json, sheets/."""
    worst: int = 12
    """Clips shown by each of depth, consistency and last frame."""
    count: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Only the first N clips of the results. Left out, all of them."""
    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DATASET ...")] = ()
    """The datasets of the results, if their clips were not generated."""
    pack: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Take generated clips from this pack instead of rendering them."""
    loading: ModelOptions = field(default_factory=ModelOptions)
    """Which model, where, and how exactly."""

    def run(self) -> None:
        """Measure, rank, draw.

        Raises:
            ValueError: for files that do not fit together or to the model, or an output folder that is not empty.
        """
        if min(self.worst, self.count or 1) < 1:
            raise ValueError(f"expected --worst and --count of at least 1, got {self.worst} and {self.count}.")

        from gen3r.eval.report import read_results
        from gen3r.scene.export.output_folder import check_output_folder, whole_folder

        check_output_folder(self.out)
        records = [read_results(path) for path in self.results]
        folder = self.loading.find()

        from dataclasses import replace

        from gen3r.eval.gallery.gallery import heading_of, write_gallery
        from gen3r.eval.gallery.making import Recipe, measure_all
        from gen3r.eval.gallery.ranking import rankings

        started = time.perf_counter()
        recipe = Recipe.of(records)
        recipe = replace(recipe, clips=recipe.clips[: self.count])
        with working("Loading the model"):
            pipeline = self.loading.load(folder)
        truth_of = recipe.truths(pipeline, datasets=self.data, pack=self.pack)
        with progress_bar("Making and measuring scenes") as advance:
            measured = measure_all(recipe, pipeline, truth_of, advance)
        lists = rankings(records, measured, self.worst)
        about = circumstances(self.loading, folder, pipeline, started) | {"results": [str(p) for p in self.results]}
        heading = heading_of(recipe, pipeline, len(measured.scores), str(about["commit"] or "not known"))
        with whole_folder(self.out) as made, progress_bar("Drawing pages") as advance:
            write_gallery(made, lists, measured, recipe, pipeline, truth_of, heading, about, advance)
        for ranking in lists:
            if ranking.change > NOTICEABLE:
                warn(
                    f"{ranking.criterion.title}: measured again, a clip differs by {100 * ranking.change:.1f} % of "
                    "its number in the results; another model, commit or machine made them, and pictures and numbers "
                    "may not belong together."
                )
            if not ranking.recorded:
                say(f"{ranking.criterion.title}: not in the results, measured now")
        if measured.failures:
            warn(f"{len(measured.failures)} clips gave no scene; the index lists them.")
        say(f"Gallery in {self.out}")
