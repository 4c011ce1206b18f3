"""What every variant is measured by: scenes generated from little, judged as in the paper's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from gen3r.cameras.projection import unproject
from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.points import cloud_errors
from gen3r.eval.suite.benchmark import Needs, SuiteSettings, benchmark_quantities
from gen3r.eval.suite.tables.camera_columns import CONTROL
from gen3r.eval.suite.tables.chunk import Given
from gen3r.eval.suite.tables.columns import Columns, error
from gen3r.eval.suite.tables.geometry_columns import AGREEMENT, DEPTH, WORST_DISTANCE
from gen3r.eval.suite.tables.picture_columns import BETWEEN, LAST
from gen3r.eval.suite.tables.prediction import Prediction
from gen3r.eval.suite.tables.predictions import generated
from gen3r.eval.suite.tables.table import PredictionTable, Row
from gen3r.pipeline import Gen3RPipeline

CLOUD_POINTS = 2000
"""Points of each cloud that are compared, a tenth of what tables of single models take: many runs are measured."""


def _cloud(prediction: Prediction, truth: Truth) -> Scores:
    points, reference = unproject(prediction.depth, prediction.cameras), unproject(truth.depth, truth.cameras)
    return {"chamfer": cloud_errors(points, reference, truth.valid, points=CLOUD_POINTS).chamfer}


CLOUD = Columns(
    title="points",
    quantities={"chamfer": error("points after a similarity, in mean depths of the first view", WORST_DISTANCE)},
    score=_cloud,
    depth=True,
)
TABLE = PredictionTable(
    name="ablations",
    title="What variants are measured by",
    needs=Needs(depth=True, cameras=True),
    ways={
        "one": Row(shows="1 view", predict=generated(Given(views=1)), columns=(LAST, DEPTH, CLOUD, CONTROL, AGREEMENT)),
        "two": Row(shows="2 views", predict=generated(Given(views=2)), columns=(BETWEEN, DEPTH)),
        "free": Row(shows="2 views, no cameras", predict=generated(Given(views=2, cameras=False)), columns=(BETWEEN,)),
    },
)
"""Cameras are those that are read in the generated geometry, for all variants."""


def _columns(*shown: str) -> Mapping[str, Quantity]:
    cells = benchmark_quantities(TABLE)
    return MappingProxyType(
        {
            name.replace("/", "_"): replace(
                cells[name], meaning=f"{TABLE.rows[name.partition('/')[0]]}: {cells[name].meaning}"
            )
            for name in shown
        }
    )


COLUMNS = _columns(
    "one/last_psnr",
    "one/absrel",
    "one/chamfer",
    "one/auc30",
    "one/agree_psnr",
    "two/between_psnr",
    "two/absrel",
    "free/between_psnr",
)
"""One number per clip each, measured of every variant: WAY_COLUMN is a cell of ``TABLE``."""


def measure(pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings) -> Tally:
    """Generate a few clips together from one view, from two, and from two without cameras, and note every column.

    What stops a model on a clip counts as the worst value of the columns it left out.
    """
    measured, tally = Tally(quantities=benchmark_quantities(TABLE)), Tally(quantities=COLUMNS)
    TABLE.measure(measured, pipeline, truths, settings)
    for seed, scores in measured.scores.items():
        tally.add(seed, {column: scores[column.replace("_", "/", 1)] for column in COLUMNS})
    tally.failures += measured.failures
    return tally
