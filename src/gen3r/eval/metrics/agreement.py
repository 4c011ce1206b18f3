"""Whether the frames, depth and cameras of one scene agree with each other: no truth is needed."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Means over the pairs of frames of one clip."""

    psnr: float
    """Visible pixels of a frame against the other frame warped onto it, in dB; 0 is the worst."""
    l1: float
    """Mean absolute difference of the same pixels, of values in [0, 1]; 1 is the worst."""
    depth_difference: float
    """Median over the visible pixels of |reprojected depth - depth there| / depth there, at most 1, the worst."""
    within: float
    """Share of the visible pixels where that is below 5 %; 0 is the worst."""
    visible: float
    """Share of the pixels with a surface that the other frame sees too; 0 is the worst."""


def agreement(
    video: Float[Tensor, "F 3 H W"],
    depth: Float[Tensor, "F H W"],
    cameras: Cameras,
    gaps: Sequence[int] | None = None,
) -> Agreement:
    """Warp frames onto each other by the scene's own depth and cameras, and compare what both see."""
    raise NotImplementedError
