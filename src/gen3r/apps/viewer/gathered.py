"""Placed scenes as one cloud and one set of cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.cameras.alignment import Sim3
from gen3r.cameras.cameras import Cameras
from gen3r.scene.turntable import Discs

OVERLAP = 1.5
"""Diameter of a point in widths of its pixel."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What several scenes show together, in world units."""

    discs: Discs
    """Points, those of neighbouring pixels overlapping a little; may be none."""
    cameras: Cameras
    """All of them, with the first one's intrinsics."""


def gather(scenes: Sequence[ShownScene], placed: Sequence[Sim3], filters: Filters) -> Gathered:
    """Move scenes to their places."""
    parts = [shown.points(filters) for shown in scenes]
    pairs = list(zip(scenes, placed, strict=True))
    points = torch.cat(
        [
            where.apply(torch.from_numpy(part.positions).double()).float()
            for part, where in zip(parts, placed, strict=True)
        ]
    )
    first = scenes[0].scene.cameras
    moved = [where.apply_to_cameras(shown.scene.cameras.to(dtype=torch.float64)).extrinsics for shown, where in pairs]
    extrinsics = torch.cat(moved)
    intrinsics = first.intrinsics[:1].double().expand(len(extrinsics), 3, 3)
    discs = Discs(
        points=points,
        colors=torch.from_numpy(np.concatenate([part.colors for part in parts])),
        diameters=torch.cat(
            [
                torch.from_numpy(part.diameters) * OVERLAP * float(where.scale)
                for part, where in zip(parts, placed, strict=True)
            ]
        ),
    )
    return Gathered(discs=discs, cameras=Cameras(extrinsics, intrinsics, first.height, first.width))
