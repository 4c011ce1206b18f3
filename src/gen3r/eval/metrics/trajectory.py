"""Errors of a whole camera path, ATE and RPE, measured by evo."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gen3r.extras import Extra

EVO = Extra(name="eval", modules=("evo",))


@dataclass(frozen=True, kw_only=True)
class TrajectoryErrors:
    """Root mean squares over a path, as the field reports them."""

    ate: float
    """Distance between aligned and true camera centres, in the target's unit."""
    rpe_translation: float
    """Length of the error of the motion from one frame to the next, in the target's unit."""
    rpe_rotation_deg: float
    """Angle of the error of the motion from one frame to the next, in degrees."""


def trajectory_errors(
    predicted: Float[Tensor, "F 4 4"], target: Float[Tensor, "F 4 4"], *, scaled: bool = True
) -> TrajectoryErrors:
    """Absolute and relative errors (Sturm et al. 2012) of world-to-camera extrinsics, after alignment."""
    raise NotImplementedError
