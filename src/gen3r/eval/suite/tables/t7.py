"""T7: generation without cameras; the model chooses where to go, so most of it can only be judged by itself."""

from gen3r.eval.suite.benchmark import Needs
from gen3r.eval.suite.tables import baselines
from gen3r.eval.suite.tables.camera_columns import LIVELINESS
from gen3r.eval.suite.tables.chunk import Given
from gen3r.eval.suite.tables.geometry_columns import AGREEMENT
from gen3r.eval.suite.tables.picture_columns import BETWEEN
from gen3r.eval.suite.tables.predictions import generated, generated_then_vggt, has_vggt
from gen3r.eval.suite.tables.table import PredictionTable, Row
from gen3r.eval.suite.tables.video_columns import VBENCH

ONE, TWO = Given(views=1, cameras=False), Given(views=2, cameras=False)
ITSELF = (AGREEMENT, LIVELINESS)
VIDEO = (*ITSELF, VBENCH)
FROM_TWO = (BETWEEN, *VIDEO)

BENCHMARK = PredictionTable(
    name="t7",
    title="T7: generation without cameras",
    needs=Needs(),
    ways={
        "still": Row(shows="1 view: a standstill", predict=baselines.standstill, columns=ITSELF),
        "two_stage1": Row(
            shows="1 view: generated, then VGGT", predict=generated_then_vggt(ONE), columns=ITSELF, possible=has_vggt
        ),
        "joint1": Row(shows="1 view: generated together", predict=generated(ONE), columns=VIDEO, timed=ONE),
        "fade": Row(shows="2 views: faded into each other", predict=baselines.faded, columns=(BETWEEN,)),
        "two_stage2": Row(
            shows="2 views: generated, then VGGT", predict=generated_then_vggt(TWO), columns=ITSELF, possible=has_vggt
        ),
        "joint2": Row(shows="2 views: generated together", predict=generated(TWO), columns=FROM_TWO, timed=TWO),
        "truth": Row(shows="the truth", predict=baselines.truth, columns=VIDEO, depth=True),
    },
    never={
        "fid": "FID compares thousands of generated and real pictures by Inception-v3, which does not come along",
    },
)
