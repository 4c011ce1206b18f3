"""T1: frames generated along given cameras, from one view and from two."""

from gen3r.eval.suite.benchmark import Needs
from gen3r.eval.suite.tables import baselines
from gen3r.eval.suite.tables.chunk import Given
from gen3r.eval.suite.tables.picture_columns import AFTER_FIRST, BETWEEN, INNER, LAST, pictures
from gen3r.eval.suite.tables.predictions import generated
from gen3r.eval.suite.tables.table import PredictionTable, Row

ONE, TWO = Given(views=1), Given(views=2)
FROM_ONE = (*pictures(AFTER_FIRST), BETWEEN, LAST)
FROM_TWO = (*pictures(INNER), BETWEEN)

BENCHMARK = PredictionTable(
    name="t1",
    title="T1: appearance with cameras",
    needs=Needs(cameras=True),
    ways={
        "copy": Row(shows="1 view: the first frame copied", predict=baselines.copied, columns=FROM_ONE),
        "gen1": Row(shows="1 view: generated", predict=generated(ONE), columns=FROM_ONE, timed=ONE),
        "warp1": Row(shows="1 view: warped by true depth", predict=baselines.warped, columns=FROM_ONE, depth=True),
        "fade": Row(shows="2 views: faded into each other", predict=baselines.faded, columns=FROM_TWO),
        "gen2": Row(shows="2 views: generated", predict=generated(TWO), columns=FROM_TWO, timed=TWO),
        "warp2": Row(
            shows="2 views: warped by true depth", predict=baselines.warped_both, columns=FROM_TWO, depth=True
        ),
    },
)
