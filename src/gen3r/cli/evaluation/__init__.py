"""``gen3r eval``: what a model can do, in numbers. One file per task."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from gen3r.cli.evaluation.ablations import Ablations
from gen3r.cli.evaluation.card import Card
from gen3r.cli.evaluation.cleaning import Cleaning
from gen3r.cli.evaluation.compare import Compare
from gen3r.cli.evaluation.gallery import Gallery
from gen3r.cli.evaluation.robustness import Robustness, RobustnessCurves
from gen3r.cli.evaluation.steps import Steps
from gen3r.cli.evaluation.synthetic import Synthetic
from gen3r.cli.evaluation.table import Table
from gen3r.cli.evaluation.tables import Tables

Task = (
    Annotated[Synthetic, tyro.conf.subcommand("synthetic")]
    | Annotated[Cleaning, tyro.conf.subcommand("cleaning")]
    | Annotated[Robustness, tyro.conf.subcommand("robustness")]
    | Annotated[RobustnessCurves, tyro.conf.subcommand("robustness-curves")]
    | Annotated[Ablations, tyro.conf.subcommand("ablations")]
    | Annotated[Steps, tyro.conf.subcommand("steps")]
    | Annotated[Tables, tyro.conf.subcommand("tables")]
    | Annotated[Table, tyro.conf.subcommand("table")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Gallery, tyro.conf.subcommand("gallery")]
    | Annotated[Card, tyro.conf.subcommand("card")]
)


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Measure what a model can do."""

    task: Task

    def run(self) -> None:
        """Run the chosen task."""
        self.task.run()
