"""T5: whether the camera does as it is told."""

from gen3r.eval.suite.benchmark import Needs
from gen3r.eval.suite.tables import baselines
from gen3r.eval.suite.tables.camera_columns import AREA_CURVE, CONTROL
from gen3r.eval.suite.tables.chunk import Given
from gen3r.eval.suite.tables.predictions import generated, generated_then_vggt, has_vggt, vggt
from gen3r.eval.suite.tables.table import PredictionTable, Row

ONE, TWO = Given(views=1), Given(views=2)
COLUMNS = (CONTROL, AREA_CURVE)

BENCHMARK = PredictionTable(
    name="t5",
    title="T5: camera control",
    needs=Needs(cameras=True),
    ways={
        "still": Row(shows="a camera that never moves", predict=baselines.still_camera, columns=COLUMNS),
        "own1": Row(shows="1 view: generated cameras", predict=generated(ONE), columns=COLUMNS, timed=ONE),
        "vggt1": Row(
            shows="1 view: VGGT on generated frames",
            predict=generated_then_vggt(ONE),
            columns=COLUMNS,
            possible=has_vggt,
        ),
        "own2": Row(shows="2 views: generated cameras", predict=generated(TWO), columns=COLUMNS, timed=TWO),
        "vggt2": Row(
            shows="2 views: VGGT on generated frames",
            predict=generated_then_vggt(TWO),
            columns=COLUMNS,
            possible=has_vggt,
        ),
        "bound": Row(shows="VGGT on true frames", predict=vggt, columns=COLUMNS, possible=has_vggt),
    },
)
