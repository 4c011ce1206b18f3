"""T2: generated geometry; depth and points from one latent with the frames, or read in the frames afterwards."""

from gen3r.eval.suite.benchmark import Needs
from gen3r.eval.suite.tables import baselines
from gen3r.eval.suite.tables.chunk import Given
from gen3r.eval.suite.tables.geometry_columns import AGREEMENT, DEPTH, POINTS, UNALIGNED_DEPTH
from gen3r.eval.suite.tables.predictions import generated, generated_as_asked, generated_then_vggt, has_vggt
from gen3r.eval.suite.tables.table import PredictionTable, Row

ONE, TWO = Given(views=1), Given(views=2)
GEOMETRY = (POINTS, DEPTH, UNALIGNED_DEPTH)
SCENE = (*GEOMETRY, AGREEMENT)
ASKED = (POINTS, AGREEMENT)

BENCHMARK = PredictionTable(
    name="t2",
    title="T2: generated geometry",
    needs=Needs(depth=True, cameras=True),
    ways={
        "mean": Row(shows="mean depth map, true cameras", predict=baselines.mean_depth, columns=GEOMETRY),
        "two_stage1": Row(
            shows="1 view: generated, then VGGT", predict=generated_then_vggt(ONE), columns=SCENE, possible=has_vggt
        ),
        "joint1": Row(shows="1 view: generated together", predict=generated(ONE), columns=SCENE, timed=ONE),
        "asked1": Row(
            shows="1 view: generated together, requested cameras", predict=generated_as_asked(ONE), columns=ASKED
        ),
        "two_stage2": Row(
            shows="2 views: generated, then VGGT", predict=generated_then_vggt(TWO), columns=SCENE, possible=has_vggt
        ),
        "joint2": Row(shows="2 views: generated together", predict=generated(TWO), columns=SCENE, timed=TWO),
        "asked2": Row(
            shows="2 views: generated together, requested cameras", predict=generated_as_asked(TWO), columns=ASKED
        ),
        "truth": Row(shows="the truth", predict=baselines.truth, columns=(AGREEMENT,)),
    },
)
