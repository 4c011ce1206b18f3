"""Pictures and videos of placed scenes, rendered without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.cameras.alignment import Sim3
from gen3r.cameras.cameras import Cameras
from gen3r.scene.point_cloud import PointCloud
from gen3r.scene.turntable import Turntable, render, turntable_cameras, write_turntable
from gen3r.whole_file import whole_file


class Offline:
    """Placed scenes as one cloud, rendered on the CPU."""

    def __init__(
        self, scenes: Sequence[ShownScene], placed: Sequence[Sim3], filters: Filters, table: Turntable
    ) -> None:
        """Gather what is seen.

        Raises:
            ValueError: if nothing passes the filters.
        """
        parts = [shown.points(filters) for shown in scenes]
        points = torch.cat(
            [
                where.apply(torch.from_numpy(part.positions).double()).float()
                for part, where in zip(parts, placed, strict=True)
            ]
        )
        if not len(points):
            raise ValueError("there is no point to draw: the scenes have no surface; look at their masks and depth.")
        self.cloud = PointCloud(
            points=points,
            colors=torch.from_numpy(np.concatenate([part.colors for part in parts])),
            confidence=torch.ones(len(points)),
            normals=torch.zeros_like(points),
        )
        self.diameter = max(s.pixel_size * float(w.scale) for s, w in zip(scenes, placed, strict=True)) * 1.3
        self.table = table
        cameras = scenes[0].scene.cameras
        moved = torch.cat(
            [
                where.apply_to_cameras(s.scene.cameras.to(dtype=torch.float64)).extrinsics
                for s, where in zip(scenes, placed, strict=True)
            ]
        )
        every = Cameras(moved, cameras.intrinsics[:1].double().expand(len(moved), 3, 3), cameras.height, cameras.width)
        self.cameras = turntable_cameras(self.cloud.points, every, table)

    def screenshot(self, path: Path) -> None:
        """Save the first view as PNG, whole or not at all."""
        picture = render(self.cloud, self.diameter, self.cameras[0])
        with whole_file(path) as temporary:
            Image.fromarray(picture).save(temporary, format="PNG")

    def turntable(self, path: Path) -> None:
        """Save the H.264 video, whole or not at all."""
        write_turntable(path, self.cloud, self.diameter, self.cameras, self.table.rate)
