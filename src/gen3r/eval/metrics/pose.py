"""Relative pose errors over all pairs of frames, and their recall curves.

For each pair i < j the relative pose ``E_j E_i^-1`` (world-to-camera extrinsics E) does not depend on the world frame,
and the direction of its translation does not depend on scale: predictions need no alignment. This is the protocol of
PoseDiffusion and VGGT with two differences, both stricter or more exact: the direction of translation keeps its sign
(they fold angles above 90 degrees), and the area under the recall curve is integrated exactly instead of in bins of
one degree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

WORST_DEG = 180.0
"""The largest possible angle, and the score of a missing result."""
THRESHOLDS_DEG = (5, 15, 30)
"""Where the papers read recall and area."""


@dataclass(frozen=True, kw_only=True)
class PairErrors:
    """Angles in degrees for the P = F (F - 1) / 2 pairs of a clip of F frames."""

    rotation: Float[Tensor, "P"]
    """Angle of the rotation between predicted and true relative rotation."""
    translation: Float[Tensor, "P"]
    """Angle between predicted and true direction of relative translation; 180 where the prediction does not move."""
    moves: Bool[Tensor, "P"]
    """Whether the true baseline is long enough to have a direction; elsewhere translation is not judged."""


def rotation_angle_deg(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Angle of a rotation, in degrees [0, 180]: ``atan2(2 sin, 2 cos)`` from the antisymmetric part and the trace.

    Accurate near 0 and near 180, where ``acos((trace - 1) / 2)`` loses half of the digits.
    """
    twist = torch.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        dim=-1,
    )
    trace = rotation.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.rad2deg(torch.atan2(twist.norm(dim=-1), trace - 1.0))


def direction_angle_deg(a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Angle between two vectors, in degrees [0, 180]; 180 where one of them has no direction."""
    angle = torch.rad2deg(torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(-1)))
    undirected = (a.norm(dim=-1) < 1e-9) | (b.norm(dim=-1) < 1e-9)
    return torch.where(undirected, WORST_DEG, angle)


def pair_errors(
    predicted: Float[Tensor, "F 4 4"], target: Float[Tensor, "F 4 4"], *, min_baseline: float
) -> PairErrors:
    """Errors of every pair of frames, from world-to-camera extrinsics (float32 or 64; computed in 64).

    ``min_baseline`` is in the target's units: pairs with nearer true centres are not ``moves``.
    A non-finite prediction raises ValueError (the clip counts as failed).
    """
    if not torch.isfinite(predicted).all():
        raise ValueError("the predicted extrinsics are not finite; the clip counts as failed.")
    first, second = torch.triu_indices(len(target), len(target), offset=1, device=target.device)
    relative = [e[second] @ torch.linalg.inv(e[first]) for e in (predicted.double(), target.double())]
    (r_pred, t_pred), (r_true, t_true) = [(e[:, :3, :3], e[:, :3, 3]) for e in relative]
    return PairErrors(
        rotation=rotation_angle_deg(r_pred @ r_true.mT),
        translation=direction_angle_deg(t_pred, t_true),
        moves=t_true.norm(dim=-1) >= min_baseline,
    )


def recall_auc(errors_deg: Float[Tensor, "P"], threshold_deg: float) -> float:
    """Area under the recall curve up to the threshold, as a share: ``mean(max(0, 1 - error / threshold))``."""
    return (1.0 - errors_deg.double() / threshold_deg).clamp_min(0.0).mean().item()


def rotation_auc(pairs: PairErrors, threshold_deg: float) -> float:
    """``recall_auc`` of the rotation errors alone: the area under RRA."""
    return recall_auc(pairs.rotation, threshold_deg)


def pose_auc(pairs: PairErrors, threshold_deg: float) -> float:
    """``recall_auc`` of the larger of both errors, rotation alone where the true camera does not move: VGGT's AUC."""
    return recall_auc(
        torch.where(pairs.moves, torch.maximum(pairs.rotation, pairs.translation), pairs.rotation), threshold_deg
    )


def recall(errors_deg: Float[Tensor, "P"], threshold_deg: float) -> float:
    """Share of errors below the threshold: RRA@threshold of rotations, RTA@threshold of translations."""
    return (errors_deg < threshold_deg).double().mean().item()


def median_deg(errors_deg: Float[Tensor, "P"]) -> float:
    """Median angle of one clip, in degrees."""
    return errors_deg.double().quantile(0.5).item()


def pose_scores(
    predicted: Float[Tensor, "F 4 4"],
    target: Float[Tensor, "F 4 4"],
    min_baseline: float,
    *,
    thresholds: Sequence[int] = THRESHOLDS_DEG,
    fold: bool = False,
) -> dict[str, float]:
    """RRA, RTA and AUC of one clip at every threshold: ``{"rra5": ..., "rta5": ..., "auc5": ..., "rra15": ...}``.

    All are shares in [0, 1]; 1 is perfect, 0 the worst. RRA is the recall of all pairs' rotations, RTA that of the
    directions of translation of the pairs that move (1 if none does: nothing was asked), AUC is `pose_auc`.

    Args:
        predicted: world-to-camera extrinsics in any world and scale.
        target: the true ones.
        min_baseline: pairs of true centres nearer than this, in the target's unit, are judged by rotation alone.
        thresholds: in whole degrees.
        fold: take a translation and its opposite for the same direction, as PoseDiffusion (Wang et al. 2023) and VGGT
            (Wang et al. 2025) do: angles above 90 degrees count as 180 minus themselves. Only for numbers to stand
            beside theirs: a camera that moves backwards instead of forwards is then right.

    Raises:
        ValueError: for a prediction that is not finite.
    """
    pairs = pair_errors(predicted, target, min_baseline=min_baseline)
    pairs = folded(pairs) if fold else pairs
    moving = pairs.translation[pairs.moves]
    scores = {}
    for threshold in thresholds:
        degrees = float(threshold)
        scores[f"rra{threshold}"] = recall(pairs.rotation, degrees)
        scores[f"rta{threshold}"] = recall(moving, degrees) if len(moving) else 1.0
        scores[f"auc{threshold}"] = pose_auc(pairs, degrees)
    return scores


def folded(pairs: PairErrors) -> PairErrors:
    """The pairs with translation angles above 90 degrees taken for 180 minus themselves; undirected ones stay wrong."""
    opposite = torch.minimum(pairs.translation, WORST_DEG - pairs.translation)
    return replace(pairs, translation=opposite.where(pairs.translation < WORST_DEG, WORST_DEG))
