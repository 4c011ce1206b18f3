"""T3: geometry of frames that are all known."""

from gen3r.eval.suite.benchmark import Needs
from gen3r.eval.suite.tables import baselines
from gen3r.eval.suite.tables.camera_columns import AREAS
from gen3r.eval.suite.tables.chunk import Given
from gen3r.eval.suite.tables.geometry_columns import DEPTH, POINTS
from gen3r.eval.suite.tables.predictions import generated, has_vggt, round_trip, vggt
from gen3r.eval.suite.tables.table import PredictionTable, Row

ALL = Given(views=None, cameras=False)
COLUMNS = (POINTS, DEPTH, AREAS)

BENCHMARK = PredictionTable(
    name="t3",
    title="T3: reconstruction from all frames",
    needs=Needs(depth=True, cameras=True),
    ways={
        "mean": Row(shows="mean depth map, true cameras", predict=baselines.mean_depth, columns=(POINTS, DEPTH)),
        "still": Row(shows="a camera that never moves", predict=baselines.still_camera, columns=(AREAS,)),
        "vggt": Row(shows="VGGT", predict=vggt, columns=COLUMNS, possible=has_vggt),
        "adapter": Row(shows="geometry through its latent and back", predict=round_trip, columns=COLUMNS),
        "full": Row(shows="generated with all frames as views", predict=generated(ALL), columns=COLUMNS, timed=ALL),
    },
)
