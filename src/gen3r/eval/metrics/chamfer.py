"""Distances between two point clouds after similarity alignment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from scipy.spatial import KDTree
from torch import Tensor

from gen3r.cameras.alignment import MIN_POINTS, ScaleRule, spread_ratio_scale, umeyama

MILLIMETRES = 1000.0
"""Millimetres in a metre."""


@dataclass(frozen=True, kw_only=True)
class ChamferDistances:
    """Nearest-neighbour distances between a predicted and a reference cloud, in the reference's unit."""

    accuracy: float
    """Mean distance from a predicted point to the nearest reference point."""
    completeness: float
    """Mean distance from a reference point to the nearest predicted point."""
    chamfer: float
    """Mean of accuracy and completeness."""
    relative_percent: float
    """Chamfer distance in percent of the diagonal of the reference's axis-aligned box."""

    def in_millimetres(self) -> "ChamferDistances":
        """The same distances of clouds given in metres; the relative one has no unit and stays."""
        return replace(
            self,
            accuracy=self.accuracy * MILLIMETRES,
            completeness=self.completeness * MILLIMETRES,
            chamfer=self.chamfer * MILLIMETRES,
        )

    def tensor(self) -> Float[Tensor, "4"]:
        """(accuracy, completeness, chamfer, relative percent)."""
        values = [self.accuracy, self.completeness, self.chamfer, self.relative_percent]
        return torch.tensor(values, dtype=torch.float64)


def chamfer_distance(
    predicted: Float[Tensor, "P H W 3"],
    reference: Float[Tensor, "F H W 3"],
    mask: Bool[Tensor, "F H W"],
    *,
    frames: Sequence[int] | None = None,
    squared: bool = False,
    scale_rule: ScaleRule = spread_ratio_scale,
) -> ChamferDistances:
    """Chamfer distance of point maps, after aligning matched pixels (Umeyama 1991).

    Args:
        predicted: point maps in any similarity frame.
        reference: true point maps.
        mask: true pixels with a surface.
        frames: which reference frame each predicted map belongs to, when only some were predicted; they are aligned
            with those and compared with all valid reference points.
        squared: mean squared distances (the relative one too).
        scale_rule: of the alignment; the default is the official one.

    Raises:
        ValueError: if fewer than three matched pixels are valid, the sizes do not match, or a prediction is not finite
            at a valid pixel (the clip counts as failed).
    """
    aligned, truth = aligned_clouds(predicted, reference, mask, frames=frames, scale_rule=scale_rule)
    return cloud_distances(aligned, truth, squared=squared)


def aligned_clouds(
    predicted: Float[Tensor, "P H W 3"],
    reference: Float[Tensor, "F H W 3"],
    mask: Bool[Tensor, "F H W"],
    *,
    frames: Sequence[int] | None = None,
    scale_rule: ScaleRule = spread_ratio_scale,
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, "M 3"]]:
    """The valid predicted points in the reference's frame, and all valid reference points; see `chamfer_distance`."""
    matched = list(range(len(reference))) if frames is None else list(frames)
    if len(predicted) != len(matched):
        raise ValueError(
            f"each predicted point map needs its reference frame: got {len(predicted)} maps and {len(matched)} frames; "
            "name them with frames=[...]."
        )
    valid = mask[matched]
    if int(valid.sum()) < MIN_POINTS:
        raise ValueError(f"alignment needs at least {MIN_POINTS} valid pixels, got {int(valid.sum())}.")
    source, target = predicted[valid], reference[matched][valid]
    if not torch.isfinite(source).all():
        raise ValueError("the predicted points are not finite at some valid pixels; the clip counts as failed.")
    return umeyama(source, target, scale_rule=scale_rule).apply(source), reference[mask]


def cloud_distances(
    predicted: Float[Tensor, "N 3"], reference: Float[Tensor, "M 3"], *, squared: bool = False
) -> ChamferDistances:
    """Chamfer distance of clouds that are already in one frame; exact, on the CPU, by k-d trees."""
    accuracy = _mean(nearest_distances(predicted, reference), squared)
    completeness = _mean(nearest_distances(reference, predicted), squared)
    chamfer = (accuracy + completeness) / 2
    box = _cloud(reference)
    diagonal = float(np.linalg.norm(box.max(axis=0) - box.min(axis=0)))
    return ChamferDistances(
        accuracy=accuracy,
        completeness=completeness,
        chamfer=chamfer,
        relative_percent=100 * chamfer / diagonal if diagonal > 0 else float("inf"),
    )


def nearest_distances(source: Float[Tensor, "N 3"], target: Float[Tensor, "M 3"]) -> Float64[Tensor, " N"]:
    """Distance from each source point to the nearest target point; exact, on the CPU, by a k-d tree."""
    distances, _ = KDTree(_cloud(target)).query(_cloud(source))
    return torch.from_numpy(distances)


def voxel_downsample(points: Float[Tensor, "N 3"], size: float) -> Float[Tensor, "M 3"]:
    """One point, the mean, for each occupied cube of edge ``size``: large clouds compare faster and more evenly."""
    if size <= 0:
        raise ValueError(f"a voxel size must be positive, got {size}.")
    cubes, owner = torch.unique((points / size).floor().long(), dim=0, return_inverse=True)
    sums = points.new_zeros(len(cubes), 3).index_add_(0, owner, points)
    return sums / torch.bincount(owner, minlength=len(cubes))[:, None]


def _cloud(points: Tensor) -> np.ndarray:
    return points.detach().cpu().double().numpy()


def _mean(distances: Float64[Tensor, " N"], squared: bool) -> float:
    return float((distances.square() if squared else distances).mean())
