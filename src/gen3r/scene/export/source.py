"""What every writer is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from gen3r.scene.export.options import ExportOptions
from gen3r.scene.input_views import InputViews
from gen3r.scene.point_cloud import OFFICIAL_CLOUD, PointCloud, point_cloud
from gen3r.scene.scene import Scene


@dataclass(frozen=True)
class ExportSource:
    """A scene, the views it was made from, what the user chose, and what several formats share."""

    scene: Scene
    views: InputViews | None = None
    options: ExportOptions = field(default_factory=ExportOptions)

    @cached_property
    def cloud(self) -> PointCloud:
        """The filtered cloud, computed once; with the official choices if the scene was made with them."""
        official = self.scene.provenance.get("settings", {}).get("numerics") == "official"
        return point_cloud(self.scene, OFFICIAL_CLOUD if official else None)
