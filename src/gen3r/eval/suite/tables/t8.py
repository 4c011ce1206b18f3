"""T8: cameras of frames that are all known."""

from gen3r.eval.suite.benchmark import Needs
from gen3r.eval.suite.tables import baselines
from gen3r.eval.suite.tables.camera_columns import AREA_CURVE, PATH, POSES
from gen3r.eval.suite.tables.chunk import Given
from gen3r.eval.suite.tables.predictions import generated, has_vggt, round_trip, vggt
from gen3r.eval.suite.tables.table import PredictionTable, Row

ALL = Given(views=None, cameras=False)
COLUMNS = (POSES, PATH, AREA_CURVE)

BENCHMARK = PredictionTable(
    name="t8",
    title="T8: camera poses",
    needs=Needs(cameras=True),
    ways={
        "still": Row(shows="a camera that never moves", predict=baselines.still_camera, columns=COLUMNS),
        "vggt": Row(shows="VGGT", predict=vggt, columns=COLUMNS, possible=has_vggt),
        "adapter": Row(shows="geometry through its latent and back", predict=round_trip, columns=COLUMNS),
        "full": Row(shows="generated with all frames as views", predict=generated(ALL), columns=COLUMNS, timed=ALL),
    },
)
