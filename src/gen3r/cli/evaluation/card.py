"""``gen3r eval card``: the model card, from the model, its results and its training runs."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.evaluation.table import read_text
from gen3r.cli.output_file import check_output_file, write_whole
from gen3r.cli.terminal import say


@dataclass(frozen=True, kw_only=True)
class Card:
    """Write a model card: networks, training runs with curves, and every number of the results files."""

    model: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Model folder."""
    results: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE.json ...")]
    """What gen3r eval measured of it."""
    out: Annotated[Path, tyro.conf.arg(metavar="README.md")]
    """The card."""
    runs: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN ...")] = ()
    """Training runs in order, of single stages or of gen3r train all."""
    template: Annotated[Path | None, tyro.conf.arg(metavar="FILE.md")] = None
    """Hand-written words with places such as {{networks}}, {{runs}}, {{curves}} and {{measured}}; one with no words of
    its own if left out."""
    curves: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Where the training curves go; training.png beside the card if left out."""

    def run(self) -> None:
        """Write the card and the picture.

        Raises:
            ValueError: for results of another model, folders that are no runs, or unusable file names.
        """
        check_output_file(self.out)
        picture = self.curves or self.out.with_name("training.png")
        if self.runs:
            check_output_file(picture, "--curves")

        from gen3r.eval.card import TEMPLATE, CardSources, render_card
        from gen3r.eval.card_curves import save_curves
        from gen3r.eval.card_runs import read_runs
        from gen3r.eval.report import read_results

        runs = read_runs(self.runs)
        link = Path(_relative(picture, self.out.parent)).as_posix() if runs else None
        results = {path.as_posix(): read_results(path) for path in self.results}
        sources = CardSources(model=self.model, results=results, runs=runs, curves=link)
        text = render_card(sources, TEMPLATE if self.template is None else read_text(self.template))
        if runs:
            save_curves(runs, picture)
        write_whole(self.out, text)
        say(f"Card in {self.out}" + (f", curves in {picture}" if runs else ""))


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.absolute(), folder.absolute())
