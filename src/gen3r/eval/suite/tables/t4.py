"""T4: a model in a few numbers, for comparing models: those of the other tables that ablations move."""

from __future__ import annotations

from collections.abc import Sequence

from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.suite.benchmark import Needs, SuiteSettings, benchmark_quantities
from gen3r.eval.suite.tables.camera_columns import CONTROL
from gen3r.eval.suite.tables.chunk import Given
from gen3r.eval.suite.tables.geometry_columns import AGREEMENT, DEPTH, POINTS
from gen3r.eval.suite.tables.picture_columns import BETWEEN, LAST
from gen3r.eval.suite.tables.predictions import generated
from gen3r.eval.suite.tables.table import PredictionTable, Row
from gen3r.pipeline import Gen3RPipeline

ONE, TWO, FREE = Given(views=1), Given(views=2), Given(views=2, cameras=False)
SCENE = (DEPTH, POINTS, CONTROL, AGREEMENT)

BENCHMARK = PredictionTable(
    name="t4",
    title="T4: a model in a few numbers",
    needs=Needs(depth=True, cameras=True),
    ways={
        "one": Row(shows="1 view", predict=generated(ONE), columns=(LAST, BETWEEN, *SCENE), timed=ONE),
        "two": Row(shows="2 views", predict=generated(TWO), columns=(BETWEEN, *SCENE), timed=TWO),
        "free": Row(shows="2 views, no cameras", predict=generated(FREE), columns=(BETWEEN, AGREEMENT), timed=FREE),
    },
)


def summary_scores(pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings) -> Tally:
    """The table's numbers of clips that are generated together; ``Tally.intervals`` gives their means.

    Failures count at their worst value and are listed in ``Tally.failures``.
    """
    tally = Tally(quantities=benchmark_quantities(BENCHMARK))
    BENCHMARK.measure(tally, pipeline, truths, settings)
    return tally
