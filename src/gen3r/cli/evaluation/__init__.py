"""``gen3r eval``: what a model can do, in numbers. One file per task."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from gen3r.cli.evaluation.cleaning import Cleaning
from gen3r.cli.evaluation.synthetic import Synthetic
from gen3r.cli.evaluation.table import Table

Task = (
    Annotated[Synthetic, tyro.conf.subcommand("synthetic")]
    | Annotated[Cleaning, tyro.conf.subcommand("cleaning")]
    | Annotated[Table, tyro.conf.subcommand("table")]
)


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Measure what a model can do."""

    task: Task

    def run(self) -> None:
        """Run the chosen task."""
        self.task.run()
