"""Generated against requested cameras."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ControlErrors:
    """How far a clip's cameras are from those that were asked for."""

    rot_err: float
    """RotErr: sum over the frames of the angle between the rotations, in radians."""
    trans_err: float
    """TransErr: sum over the frames of the distance between the normalised translations."""
    rotation_deg: float
    """Mean over the frames after the first of the angle between the rotations, in degrees; 180 is the worst."""
    translation: float
    """Mean over the frames after the first of the distance between the normalised translations; 2 is the worst."""
    auc30: float
    """Area under the recall curve of all pairs of frames up to 30 degrees (``pose_auc``); 0 is the worst."""


def control_errors(
    generated: Float[Tensor, "F 4 4"], requested: Float[Tensor, "F 4 4"], *, min_baseline: float = 0.01
) -> ControlErrors:
    """Errors of world-to-camera extrinsics; neither the world frame nor the scale of either matters."""
    raise NotImplementedError
