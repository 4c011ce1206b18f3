"""What every writer is given."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from jaxtyping import Bool
from torch import Tensor

from gen3r.scene.cleaning import cleaning_level
from gen3r.scene.export.options import ExportOptions
from gen3r.scene.gaussians import Gaussians, gaussians_from_depth
from gen3r.scene.input_views import InputViews
from gen3r.scene.point_cloud import OFFICIAL_CLOUD, PointCloud, PointCloudConfig, kept_pixels, point_cloud
from gen3r.scene.scene import Scene

if TYPE_CHECKING:
    from gen3r.scene.mesh import Mesh


@dataclass(frozen=True)
class ExportSource:
    """A scene, the views it was made from, what the user chose, and what several formats share, computed once."""

    scene: Scene
    views: InputViews | None = None
    options: ExportOptions = field(default_factory=ExportOptions)

    @property
    def cloud_config(self) -> PointCloudConfig:
        """What the user chose; the rest as in every cloud, or officially if the scene was made so."""
        official = (self.scene.provenance.get("settings") or {}).get("numerics") == "official"
        config = OFFICIAL_CLOUD if official else PointCloudConfig()
        return replace(config, cleaning=cleaning_level(self.options.clean), max_points=self.options.points_at_most())

    @cached_property
    def keep(self) -> Bool[Tensor, "F H W"]:
        """Pixels that survive cleaning."""
        return kept_pixels(self.scene, self.cloud_config)

    @cached_property
    def cloud(self) -> PointCloud:
        """The cleaned cloud of at most `options.points_at_most()` points."""
        return point_cloud(self.scene, self.cloud_config, self.keep)

    @cached_property
    def splats(self) -> Gaussians:
        """Gaussian splats of what survives cleaning, of the same limit as the cloud."""
        return gaussians_from_depth(self.scene, self.keep, self.options.points_at_most())

    @cached_property
    def mesh(self) -> Mesh:
        """The surface fused from what survives cleaning, of at most `options.max_faces` triangles."""
        from gen3r.scene.mesh import MeshConfig, fuse

        return fuse(self.scene, self.keep, MeshConfig(max_faces=self.options.max_faces))
