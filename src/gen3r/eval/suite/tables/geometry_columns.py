"""How near predicted depth and points come to the true ones, and how well a prediction agrees with itself."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.projection import unproject
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.agreement import WORST, agreement
from gen3r.eval.metrics.chamfer import aligned_clouds, cloud_distances
from gen3r.eval.metrics.depth import ABSREL_CEILING, depth_errors
from gen3r.eval.metrics.farthest import farthest_points
from gen3r.eval.metrics.points import SAMPLED_POINTS
from gen3r.eval.suite.tables.columns import Columns, decibels, error, share
from gen3r.eval.suite.tables.prediction import Prediction

WORST_RMSE = 1.5
"""About what a depth of zero everywhere scores, in mean depths of the first view."""
WORST_DISTANCE = 1.0
"""Points that are off by the mean depth of the first view."""


def _depth(prediction: Prediction, truth: Truth) -> Scores:
    errors = depth_errors(prediction.depth, truth.depth, truth.valid)
    return {"absrel": errors.absrel, "rmse": errors.rmse, "delta1": errors.delta1}


DEPTH = Columns(
    title="depth",
    quantities={
        "absrel": error("depth, one scale per clip", ABSREL_CEILING),
        "rmse": error("depth, one scale per clip, in mean depths of the first view", WORST_RMSE),
        "delta1": share("pixels whose depth is within a factor of 1.25, one scale per clip"),
    },
    score=_depth,
    depth=True,
)


def _unaligned(prediction: Prediction, truth: Truth) -> Scores:
    return {"unaligned_absrel": depth_errors(prediction.depth, truth.depth, truth.valid, metric=True).absrel}


UNALIGNED_DEPTH = Columns(
    title="depth, not aligned",
    quantities={"unaligned_absrel": error("depth as it stands, in the unit of the requested cameras", ABSREL_CEILING)},
    score=_unaligned,
    depth=True,
)


_thinned: WeakKeyDictionary[Truth, Float[Tensor, "M 3"]] = WeakKeyDictionary()
"""True clouds, which every row of a clip is compared with: thinning takes longer than comparing."""


def _points(prediction: Prediction, truth: Truth) -> Scores:
    points, true_points = unproject(prediction.depth, prediction.cameras), unproject(truth.depth, truth.cameras)
    aligned, reference = aligned_clouds(points, true_points, truth.valid)
    if truth not in _thinned:
        _thinned[truth] = thinned(reference)
    distances = cloud_distances(thinned(aligned), _thinned[truth])
    return {name: getattr(distances, name) for name in ("accuracy", "completeness", "chamfer")}


def thinned(cloud: Float[Tensor, "N 3"]) -> Float[Tensor, "M 3"]:
    """``SAMPLED_POINTS`` of a cloud, as `cloud_errors` takes them."""
    return cloud[farthest_points(cloud, SAMPLED_POINTS)]


POINTS = Columns(
    title="points",
    quantities={
        "accuracy": error("predicted points to true ones, in mean depths of the first view", WORST_DISTANCE),
        "completeness": error("true points to predicted ones, in mean depths of the first view", WORST_DISTANCE),
        "chamfer": error("mean of both; aligned by a similarity, from depth and cameras", WORST_DISTANCE),
    },
    score=_points,
    depth=True,
)


def _agreement(prediction: Prediction, truth: Truth) -> Scores:
    depth = torch.where(prediction.surface, prediction.depth, 0.0)
    found = agreement(prediction.video, depth, prediction.cameras)
    return {
        "agree_psnr": found.psnr,
        "agree_depth": found.depth_difference,
        "agree_within": found.within,
        "overlap": found.visible,
    }


AGREEMENT = Columns(
    title="agreement with itself",
    quantities={
        "agree_psnr": decibels("frames warped onto each other by the prediction's own depth and cameras"),
        "agree_depth": error("depth of the same points from two frames, relative difference", WORST.depth_difference),
        "agree_within": share("points whose depth from two frames differs by less than 5 %"),
        "overlap": share("of a frame that another one sees too"),
    },
    score=_agreement,
)
