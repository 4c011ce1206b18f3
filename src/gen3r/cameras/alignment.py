"""Similarity transforms, their estimation from matched points, and measures of a scene's scale."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import exact_matmul, rigid, rotate

ScaleRule = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(correlation, source spread, target spread) -> scale: `least_squares_scale`, `spread_ratio_scale` or `unit_scale`."""

MIN_POINTS = 3
"""Fewer matched points do not fix a rotation."""
OFFICIAL_SCENE_FRACTION = 0.8
"""How far, in median depths, the official trajectories move."""


@dataclass(frozen=True, eq=False)
class Sim3:
    """Similarity transforms ``x -> scale * rotation x + translation``, any leading batch axes."""

    scale: Float[Tensor, "*b"]
    """Positive."""
    rotation: Float[Tensor, "*b 3 3"]
    """Orthonormal, determinant +1."""
    translation: Float[Tensor, "*b 3"]
    """Units of the target."""

    @classmethod
    def identity(cls, *batch: int, device: torch.device | None = None, dtype: torch.dtype | None = None) -> "Sim3":
        """The transform that changes nothing."""
        rotation = torch.eye(3, device=device, dtype=dtype).expand(*batch, 3, 3)
        return cls(rotation.new_ones(batch), rotation, rotation.new_zeros(*batch, 3))

    def apply(self, points: Float[Tensor, "*bn 3"]) -> Float[Tensor, "*bn 3"]:
        """Transform points; the leading axes of ``points`` must be the batch axes, any more may follow."""
        batch = self.scale.ndim
        rows = points.flatten(batch, -2) if points.ndim > batch + 1 else points.unsqueeze(-2)
        moved = (
            self.scale[..., None, None] * exact_matmul(rows, self.rotation.transpose(-1, -2))
            + self.translation[..., None, :]
        )
        return moved.reshape(points.shape)

    def apply_to_cameras(self, cameras: Cameras) -> Cameras:
        """The cameras that see the transformed world exactly as these see the old one; depths grow by ``scale``."""
        lead = cameras.extrinsics.ndim - 2 - self.scale.ndim
        scale = self.scale.reshape(*self.scale.shape, *[1] * lead)
        to_world = self.rotation.reshape(*scale.shape, 3, 3)
        translation = self.translation.reshape(*scale.shape, 3)
        rotation = exact_matmul(cameras.extrinsics[..., :3, :3], to_world.transpose(-1, -2))
        offset = scale[..., None] * cameras.extrinsics[..., :3, 3] - rotate(rotation, translation)
        return replace(cameras, extrinsics=rigid(rotation, offset))

    def inverse(self) -> "Sim3":
        """The transform that undoes this one."""
        rotation = self.rotation.transpose(-1, -2)
        translation = -rotate(rotation, self.translation) / self.scale[..., None]
        return Sim3(1 / self.scale, rotation, translation)

    def compose(self, first: "Sim3") -> "Sim3":
        """The transform that does ``first`` and then this one."""
        return Sim3(
            self.scale * first.scale,
            exact_matmul(self.rotation, first.rotation),
            self.scale[..., None] * rotate(self.rotation, first.translation) + self.translation,
        )


def least_squares_scale(correlation: Tensor, source_spread: Tensor, target_spread: Tensor) -> Tensor:
    """Scale with the smallest squared error in the target (Umeyama 1991, eq. 42). Noise in the source shrinks it."""
    return correlation / source_spread


def spread_ratio_scale(correlation: Tensor, source_spread: Tensor, target_spread: Tensor) -> Tensor:
    """Ratio of the standard deviations (Horn 1987): symmetric in source and target, and the official Gen3R choice."""
    return (target_spread / source_spread).sqrt()


def unit_scale(correlation: Tensor, source_spread: Tensor, target_spread: Tensor) -> Tensor:
    """No change of scale: rigid alignment."""
    return torch.ones_like(correlation)


def umeyama(
    source: Float[Tensor, "*b N 3"],
    target: Float[Tensor, "*b N 3"],
    mask: Bool[Tensor, "*b N"] | None = None,
    scale_rule: ScaleRule = least_squares_scale,
) -> Sim3:
    """Similarity that best maps matched points ``source`` to ``target`` (Umeyama 1991), never a reflection.

    Args:
        source: points, any unit; computed in float64, given back in their type.
        target: their matches.
        mask: which pairs count; all if left out. Points outside may be NaN.
        scale_rule: how the scale follows from the spreads.

    Returns:
        The transform; identity for batch entries with fewer than three pairs, scale 1 where the source is one point.
    """
    if mask is None:
        mask = torch.ones_like(source[..., 0], dtype=torch.bool)
    weights = mask.double()[..., None]
    count = weights.sum(-2).clamp(min=1)
    source64 = source.double().masked_fill(~mask[..., None], 0.0)
    target64 = target.double().masked_fill(~mask[..., None], 0.0)
    source_mean, target_mean = source64.sum(-2) / count, target64.sum(-2) / count
    source_centred = (source64 - source_mean[..., None, :]) * weights
    target_centred = (target64 - target_mean[..., None, :]) * weights

    u, singular_values, vh = torch.linalg.svd(source_centred.transpose(-1, -2) @ target_centred)
    sign = torch.ones_like(singular_values)
    sign[..., 2] = torch.where(torch.linalg.det(u @ vh) < 0, -1.0, 1.0)
    rotation = (vh.transpose(-1, -2) * sign[..., None, :]) @ u.transpose(-1, -2)
    source_spread, target_spread = source_centred.square().sum((-1, -2)), target_centred.square().sum((-1, -2))
    extended = source_spread > 0
    scale = scale_rule((singular_values * sign).sum(-1), source_spread.where(extended, 1.0), target_spread)
    scale = scale.where(extended, 1.0)
    translation = target_mean - scale[..., None] * (rotation @ source_mean[..., None])[..., 0]

    enough = mask.sum(-1) >= MIN_POINTS
    identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
    return Sim3(
        scale.where(enough, 1.0).to(source.dtype),
        rotation.where(enough[..., None, None], identity).to(source.dtype),
        translation.where(enough[..., None], 0.0).to(source.dtype),
    )


def mean_depth(depth: Float[Tensor, "*b H W"]) -> Float[Tensor, "*b"]:
    """Mean z-depth of each map over pixels with a surface (finite, above 0); 1 for a map without any.

    Dividing a scene by the mean depth of its first view gives every scene the same scale.
    """
    valid = depth.isfinite() & (depth > 0)
    count = valid.sum((-1, -2))
    total = depth.masked_fill(~valid, 0.0).sum((-1, -2))
    return (total / count.clamp(min=1)).where(count > 0, 1.0)


def trajectory_scale(depth: Float[Tensor, "..."], fraction: float = OFFICIAL_SCENE_FRACTION) -> float:
    """How far built-in trajectories move, in scene units: a fraction of the (lower) median of all depths.

    Pixels without a surface (not finite, or not above 0) do not count; 1 if there is no other.
    """
    surface = depth[depth.isfinite() & (depth > 0)]
    return fraction * float(surface.median()) if surface.numel() else 1.0
