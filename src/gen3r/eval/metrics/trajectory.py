"""Errors of a whole camera path, ATE and RPE, measured by evo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.alignment import least_squares_scale, umeyama, unit_scale
from gen3r.cameras.cameras import ROTATION_TOLERANCE
from gen3r.cameras.convention import invert_se3, rigid
from gen3r.extras import Extra

if TYPE_CHECKING:
    from evo.core.trajectory import PosePath3D

EVO = Extra(name="eval", modules=("evo",))


@dataclass(frozen=True, kw_only=True)
class TrajectoryErrors:
    """Root mean squares over a path, as the field reports them; 0 is perfect."""

    ate: float
    """Absolute trajectory error: distance between aligned and true camera centres, in the target's unit. Aligned with
    scale it cannot exceed the root mean square distance of the true centres from their mean."""
    rpe_translation: float
    """Relative pose error: length of the error of the motion from one frame to the next, in the target's unit."""
    rpe_rotation_deg: float
    """Relative pose error: angle of the error of the motion from one frame to the next, in degrees; at most 180."""


def trajectory_errors(
    predicted: Float[Tensor, "F 4 4"],
    target: Float[Tensor, "F 4 4"],
    *,
    scaled: bool = True,
    min_extent: float = 0.01,
) -> TrajectoryErrors:
    """ATE and RPE (Sturm et al. 2012) of world-to-camera extrinsics, after aligning the camera centres.

    The alignment is the least-squares similarity (Umeyama 1991), or a rigid one; as is usual since MonST3R (Zhang et
    al. 2024) RPE is over consecutive frames, after the same alignment. Our Umeyama takes the place of evo's, which
    refuses paths along a straight line; the errors are evo's.

    Args:
        predicted: in any world and, if ``scaled``, in any scale.
        target: the true ones.
        scaled: align with a scale (Sim(3)); False for metric predictions (SE(3)).
        min_extent: true centres that all lie within this of their mean, in the target's unit, have no scale: the
            alignment is then rigid.

    Raises:
        ValueError: without evo, for fewer than two frames, or where a prediction is not
            finite or holds no rotation (the clip counts as failed).
    """
    EVO.require("ATE and RPE")
    from evo.core.metrics import APE, RPE, PoseRelation, StatisticsType

    if len(target) < 2:
        raise ValueError(f"a path needs at least two frames, got {len(target)}.")
    poses, truth = _world_from_camera(predicted), _world_from_camera(target)
    centres, true_centres = poses[:, :3, 3], truth[:, :3, 3]
    extent = (true_centres - true_centres.mean(dim=0)).norm(dim=-1).max()
    rule = least_squares_scale if scaled and extent > min_extent else unit_scale
    alignment = umeyama(centres, true_centres, scale_rule=rule)
    aligned = rigid(alignment.rotation @ poses[:, :3, :3], alignment.apply(centres))
    pair = (_path(truth), _path(aligned))
    measured = []
    for metric in (
        APE(PoseRelation.translation_part),
        RPE(PoseRelation.translation_part),
        RPE(PoseRelation.rotation_angle_deg),
    ):
        metric.process_data(pair)
        measured.append(float(metric.get_statistic(StatisticsType.rmse)))
    ate, rpe_translation, rpe_rotation_deg = measured
    return TrajectoryErrors(ate=ate, rpe_translation=rpe_translation, rpe_rotation_deg=rpe_rotation_deg)


def _path(poses: Float[Tensor, "F 4 4"]) -> PosePath3D:
    from evo.core.trajectory import PosePath3D

    return PosePath3D(poses_se3=list(poses.numpy()))


def _world_from_camera(extrinsics: Float[Tensor, "F 4 4"]) -> Float[Tensor, "F 4 4"]:
    """Camera-to-world poses on the CPU in float64, rotations exact: evo refuses those rounded to float32."""
    if not torch.isfinite(extrinsics).all():
        raise ValueError("the extrinsics are not finite; the clip counts as failed.")
    extrinsics = extrinsics.detach().cpu().double()
    u, _, vh = torch.linalg.svd(extrinsics[:, :3, :3])
    rotation = u @ vh
    if (rotation - extrinsics[:, :3, :3]).abs().max() > ROTATION_TOLERANCE or (torch.linalg.det(rotation) < 0).any():
        raise ValueError("the extrinsics hold a matrix that is no rotation; the clip counts as failed.")
    return invert_se3(rigid(rotation, extrinsics[:, :3, 3]))
