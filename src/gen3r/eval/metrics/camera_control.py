"""Generated against requested cameras."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.eval.metrics.pose import pair_errors, pose_auc, rotation_angle_deg

MIN_BASELINE = 0.01
"""Paths that stay nearer to the first camera than this have no scale; in the request's unit."""
WORST_TRANSLATION = 2.0
"""Largest distance between two normalised translations: opposite directions, both as far as their paths go."""


@dataclass(frozen=True, kw_only=True)
class ControlErrors:
    """How far a clip's cameras are from those that were asked for."""

    rot_err: float
    """RotErr of CameraCtrl: sum over the frames of the angle between the rotations, in RADIANS; grows with the number
    of frames, the worst is pi for each after the first."""
    trans_err: float
    """TransErr of CameraCtrl on normalised translations: sum over the frames of their distance."""
    cam_mc: float
    """CamMC of MotionCtrl: sum over the frames of the Euclidean distance of 3 x 4 poses, translations normalised."""
    rotation_deg: float
    """Mean over the frames after the first of the angle between the rotations, in degrees; 180 is the worst."""
    translation: float
    """Mean over the frames after the first of the distance of normalised translations; 2 is the worst."""
    auc30: float
    """Area under the recall curve of all pairs of frames up to 30 degrees (``pose_auc``); 0 is the worst."""


def control_errors(
    generated: Float[Tensor, "F 4 4"], requested: Float[Tensor, "F 4 4"], *, min_baseline: float = MIN_BASELINE
) -> ControlErrors:
    """Errors of world-to-camera extrinsics; neither the world frame nor the scale of either matters.

    RotErr and TransErr are those of CameraCtrl (He et al. 2024), CamMC that of MotionCtrl (Wang et al. 2024), all as
    CamI2V (Zheng et al. 2024) computes them: camera-to-world poses relative to the first frame, whose translations are
    divided by the largest distance from the first camera on their OWN path. A path that stays within ``min_baseline``
    is divided by that instead, so that a camera that was asked to stand still may tremble a little.

    Args:
        generated: cameras of the clip, as the model gives them or as they were estimated from its frames.
        requested: cameras that were asked for.
        min_baseline: in the request's unit; also the shortest baseline whose direction counts for ``auc30``.

    Raises:
        ValueError: for fewer than two frames, or generated cameras that are not finite (the clip counts as failed).
    """
    if len(requested) < 2:
        raise ValueError(f"control of a camera needs at least two frames, got {len(requested)}.")
    pairs = pair_errors(generated, requested, min_baseline=min_baseline)
    own, asked = _relative(generated, min_baseline), _relative(requested, min_baseline)
    angles = rotation_angle_deg(own[:, :3, :3] @ asked[:, :3, :3].mT)
    distances = (own[:, :3, 3] - asked[:, :3, 3]).norm(dim=-1)
    after_first = len(requested) - 1
    return ControlErrors(
        rot_err=math.radians(angles.sum().item()),
        trans_err=distances.sum().item(),
        cam_mc=(own - asked)[:, :3].flatten(1).norm(dim=-1).sum().item(),
        rotation_deg=angles.sum().item() / after_first,
        translation=distances.sum().item() / after_first,
        auc30=pose_auc(pairs, 30.0),
    )


def _relative(extrinsics: Float[Tensor, "F 4 4"], min_baseline: float) -> Float[Tensor, "F 4 4"]:
    """Camera-to-world poses in the first camera's frame, translations over the largest."""
    poses = extrinsics[:1].double() @ torch.linalg.inv(extrinsics.double())
    farthest = poses[:, :3, 3].norm(dim=-1).max().clamp_min(min_baseline)
    poses[:, :3, 3] /= farthest
    return poses
