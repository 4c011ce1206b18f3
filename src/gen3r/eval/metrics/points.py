"""Accuracy, completeness and Chamfer distance of point maps on farthest-point samples."""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras.alignment import ScaleRule, spread_ratio_scale
from gen3r.eval.metrics.chamfer import ChamferDistances, aligned_clouds, cloud_distances
from gen3r.eval.metrics.farthest import farthest_points

SAMPLED_POINTS = 20_000
"""Points of each cloud that are compared."""


def cloud_errors(
    predicted: Float[Tensor, "P H W 3"],
    reference: Float[Tensor, "F H W 3"],
    mask: Bool[Tensor, "F H W"],
    frames: Sequence[int] | None = None,
    points: int = SAMPLED_POINTS,
    scale_rule: ScaleRule = spread_ratio_scale,
) -> ChamferDistances:
    """Distances of point maps after aligning matched pixels, each cloud thinned to ``points`` first.

    Both clouds are thinned by themselves (``farthest_points``), after the alignment: near surfaces, which fill many
    pixels, weigh no more than far ones of equal area. The mask acts on pixels, before the thinning; the official
    evaluation looks the indices of thinned points up in the unthinned list, which picks other points.
    Some spacing of the samples stays in the distances even of equal clouds of other pixels; it is the same for all
    models.

    Args:
        predicted: point maps in any similarity frame.
        reference: true point maps; the distances are in their unit.
        mask: true pixels with a surface.
        frames: which reference frame each predicted map belongs to, when only some were predicted.
        points: points of each cloud that are compared; all of a smaller cloud.
        scale_rule: of the alignment; the default is the official one.

    Raises:
        ValueError: if fewer than three matched pixels are valid, the sizes do not match, or a prediction is not finite
            at a valid pixel (the clip counts as failed).
    """
    aligned, truth = aligned_clouds(predicted, reference, mask, frames=frames, scale_rule=scale_rule)
    return cloud_distances(aligned[farthest_points(aligned, points)], truth[farthest_points(truth, points)])
