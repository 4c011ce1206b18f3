"""Where several scenes stand in one world: that of the first scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.cameras.alignment import Sim3

GAP = 0.12
"""Space between neighbours, as a fraction of the first scene's width."""
SAMPLE = 20_000
"""Points that tell how wide a scene is."""


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """How scenes share the world."""

    side_by_side: bool = True
    """Each to the right of the one before; otherwise all first cameras stand at one place."""
    same_size: bool = True
    """Scale each scene so that the median depths of the first frames agree; otherwise units are taken to be equal."""


def place(scenes: Sequence[ShownScene], arrangement: Arrangement) -> tuple[Sim3, ...]:
    """World-from-scene for each scene; float64.

    The first scene stays as it is. The others are turned and moved so that their first camera looks where the first
    camera of the first scene looks, and then sideways until the bulk of their points lies beside their neighbour's.
    """
    base = scenes[0].scene.cameras.world_from_camera[0].double()
    right = base[:3, 0]
    placed: list[Sim3] = []
    edge = gap = 0.0
    for index, shown in enumerate(scenes):
        scale = scenes[0].median_depth / shown.median_depth if arrangement.same_size else 1.0
        aligned = _onto_first_camera(shown, base, scale) if index else Sim3.identity(dtype=torch.float64)
        if arrangement.side_by_side and len(scenes) > 1:
            left, end = _extent(shown, aligned, base)
            if index == 0:
                gap = GAP * (end - left)
            else:
                aligned = Sim3(aligned.scale, aligned.rotation, aligned.translation + (edge + gap - left) * right)
                end += edge + gap - left
            edge = end
        placed.append(aligned)
    return tuple(placed)


def _onto_first_camera(shown: ShownScene, base: Float[Tensor, "4 4"], scale: float) -> Sim3:
    own = shown.scene.cameras.world_from_camera[0].double()
    rotation = base[:3, :3] @ own[:3, :3].T
    size = torch.tensor(scale, dtype=torch.float64)
    return Sim3(size, rotation, base[:3, 3] - size * (rotation @ own[:3, 3]))


def _extent(shown: ShownScene, placed: Sim3, base: Float[Tensor, "4 4"]) -> tuple[float, float]:
    """From where to where the bulk of a placed scene reaches along the first camera's right axis, cameras included."""
    cloud = torch.from_numpy(shown.points(Filters(cleaning="none", max_points=SAMPLE)).positions).double()
    centers = shown.scene.cameras.centers.double()
    along = (placed.apply(centers) - base[:3, 3]) @ base[:3, 0]
    low, high = float(along.min()), float(along.max())
    if len(cloud):
        bulk = ((placed.apply(cloud) - base[:3, 3]) @ base[:3, 0]).quantile(torch.tensor([0.02, 0.98]).double())
        low, high = min(low, float(bulk[0])), max(high, float(bulk[1]))
    return low, high
