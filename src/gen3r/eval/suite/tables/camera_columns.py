"""How near predicted cameras come to the true or requested ones."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import mean_depth
from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.benchmarks.truth import MIN_BASELINE, Truth
from gen3r.eval.metrics.absent import Absent
from gen3r.eval.metrics.camera_control import WORST_TRANSLATION, control_errors
from gen3r.eval.metrics.pose import THRESHOLDS_DEG, WORST_DEG, pose_scores, rotation_angle_deg
from gen3r.eval.metrics.trajectory import EVO, trajectory_errors
from gen3r.eval.suite.benchmark import Curve
from gen3r.eval.suite.tables.columns import Columns, error, share
from gen3r.eval.suite.tables.prediction import Prediction

WORST_PATH = 1.0
"""Camera centres that are off by the mean depth of the first view."""
MEANINGS = {
    "rra": "pairs of frames whose rotation is within {} degrees",
    "rta": "pairs of frames whose direction of translation is within {} degrees",
    "auc": "rotation and direction of translation, area under the recall up to {} degrees",
}
CURVE_DEG = (1, 2, 5, 10, 15, 20, 25, 30)
"""Points of the curve of the area."""


def _extrinsics(prediction: Prediction, truth: Truth) -> tuple[Float[Tensor, "F 4 4"], Float[Tensor, "F 4 4"]]:
    return prediction.cameras.extrinsics, truth.cameras.extrinsics


def _poses(prediction: Prediction, truth: Truth) -> Scores:
    return pose_scores(*_extrinsics(prediction, truth), MIN_BASELINE)


POSES = Columns(
    title="cameras",
    quantities={
        f"{name}{degrees}": share(meaning.format(degrees))
        for name, meaning in MEANINGS.items()
        for degrees in THRESHOLDS_DEG
    },
    score=_poses,
)


def _areas(prediction: Prediction, truth: Truth) -> Scores:
    scores = _poses(prediction, truth)
    return {key: scores[key] for key in AREAS.quantities}


AREAS = Columns(
    title="cameras",
    quantities={key: quantity for key, quantity in POSES.quantities.items() if key.startswith("auc")},
    score=_areas,
)


def _area(prediction: Prediction, truth: Truth) -> Scores:
    scores = pose_scores(*_extrinsics(prediction, truth), MIN_BASELINE, thresholds=CURVE_DEG)
    return {f"auc{degrees}": scores[f"auc{degrees}"] for degrees in CURVE_DEG}


AREA_CURVE = Columns(
    title="cameras",
    quantities={f"auc{degrees}": share(MEANINGS["auc"].format(degrees)) for degrees in CURVE_DEG},
    score=_area,
    curve=Curve(
        title="area under the recall of camera poses",
        x_label="up to, degrees",
        quantity=share("rotation and direction of translation, area under the recall"),
        points={f"auc{degrees}": float(degrees) for degrees in CURVE_DEG},
        rows=(),
    ),
)


def _trajectory_absence() -> Absent | None:
    return None if not EVO.missing else Absent(what="ATE and RPE", reason="needs evo", remedy=EVO.remedy)


def _trajectory(prediction: Prediction, truth: Truth) -> Scores:
    errors = trajectory_errors(*_extrinsics(prediction, truth))
    return {"ate": errors.ate, "rpe": errors.rpe_translation, "rpe_deg": errors.rpe_rotation_deg}


PATH = Columns(
    title="camera path",
    quantities={
        "ate": error("camera centres after alignment, in mean depths of the first view", WORST_PATH),
        "rpe": error("steps from frame to frame, in mean depths of the first view", WORST_PATH),
        "rpe_deg": error("turns from frame to frame", WORST_DEG, "deg"),
    },
    score=_trajectory,
    absence=_trajectory_absence,
)


def _control(prediction: Prediction, truth: Truth) -> Scores:
    errors = control_errors(*_extrinsics(prediction, truth), min_baseline=MIN_BASELINE)
    return {"auc30": errors.auc30, "rot_err": errors.rotation_deg, "trans_err": errors.translation}


CONTROL = Columns(
    title="cameras",
    quantities={
        "auc30": share(MEANINGS["auc"].format(30)),
        "rot_err": error("angle between the rotations, mean over frames; CameraCtrl sums radians", WORST_DEG, "deg"),
        "trans_err": error("distance of normalised translations, mean over frames; CameraCtrl sums", WORST_TRANSLATION),
    },
    score=_control,
)


def _liveliness(prediction: Prediction, truth: Truth) -> Scores:
    extrinsics = prediction.cameras.rebased().extrinsics
    depth = prediction.depth[prediction.surface]
    unit = float(mean_depth(torch.where(prediction.surface[0], prediction.depth[0], 0.0)))
    return {
        "turn": float(rotation_angle_deg(extrinsics[:, :3, :3]).max()),
        "travel": float(prediction.cameras.rebased().centers.norm(dim=-1).max()) / unit,
        "relief": float(depth.double().log().std(correction=0)) if len(depth) else 0.0,
    }


LIVELINESS = Columns(
    title="liveliness",
    quantities={
        "turn": Quantity(meaning="largest turn of the camera", unit="deg", higher_is_better=True, worst=0.0),
        "travel": share("largest distance of the camera from its start, in mean depths of the first view"),
        "relief": share("standard deviation of the logarithm of depth"),
    },
    score=_liveliness,
)
"""What a prediction dares: to be read beside the truth's, since what stands still agrees with itself best."""
