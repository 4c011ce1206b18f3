"""T9: what the frames lose on their way through the appearance latent."""

from gen3r.eval.suite.benchmark import Needs
from gen3r.eval.suite.tables import baselines
from gen3r.eval.suite.tables.picture_columns import ALL, LAST, pictures
from gen3r.eval.suite.tables.predictions import autoencoded, has_linear_path, linear_path
from gen3r.eval.suite.tables.table import PredictionTable, Row

COLUMNS = (*pictures(ALL), LAST)

BENCHMARK = PredictionTable(
    name="t9",
    title="T9: frames through the appearance latent and back",
    needs=Needs(),
    ways={
        "average8": Row(shows="8x8 blocks averaged", predict=baselines.averaged, columns=COLUMNS),
        "linear": Row(
            shows="the VAE's linear path alone", predict=linear_path, columns=COLUMNS, possible=has_linear_path
        ),
        "vae": Row(shows="the VAE", predict=autoencoded, columns=COLUMNS),
    },
)
