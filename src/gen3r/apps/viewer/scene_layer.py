"""One scene as viser nodes, sent when first shown and then only switched on and off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import viser

from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.apps.viewer.geometry import GEOMETRIES, Request
from gen3r.apps.viewer.poses import quaternion
from gen3r.cameras.alignment import Sim3
from gen3r.scene.colormap import viridis

ALL_FRAMES, UP_TO_FRAME, THIS_FRAME = "All frames", "Up to this frame", "This frame"
SPANS = (ALL_FRAMES, UP_TO_FRAME, THIS_FRAME)
"""Which frames' surfaces are shown."""
ALL_CAMERAS, THIS_CAMERA, NO_CAMERAS = "All", "This frame", "None"
CAMERA_CHOICES = (ALL_CAMERAS, THIS_CAMERA, NO_CAMERAS)
"""Whose frusta are shown."""
FRUSTUM = 0.1
"""Depth of a frustum in median depths of its scene."""
HERE = (255, 120, 20)
"""Colour of the current frame's camera."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """Everything the panel says about how scenes are drawn."""

    geometry: str = "Points"
    """A key of `GEOMETRIES`."""
    span: str = ALL_FRAMES
    """One of `SPANS`."""
    frame: int = 0
    """The current frame; a shorter scene shows its last one."""
    filters: Filters = field(default_factory=Filters)
    """Which pixels; its max_depth is in world units."""
    point_size: float = 1.2
    """In pixel widths at the median depth."""
    cameras: str = ALL_CAMERAS
    """One of `CAMERA_CHOICES`."""
    pictures: bool = True
    """Whether the current frame's camera carries its picture."""


class SceneLayer:
    """The nodes of one scene."""

    def __init__(self, api: viser.SceneApi, name: str, shown: ShownScene, label: bool) -> None:
        self.api = api
        self.shown = shown
        self.name = f"/{name}"
        self.root = api.add_frame(self.name, show_axes=False)
        self.label: viser.LabelHandle | None = None
        self.labelled = label
        self.scale = 1.0
        self._drawn: dict[int | None, viser.SceneNodeHandle | None] = {}
        self._drawn_as: tuple[str, Filters, float] | None = None
        self._edition = 0
        self._outdated: list[viser.SceneNodeHandle] = []
        self._frusta: list[viser.CameraFrustumHandle] = []
        self._pictures: dict[int, viser.CameraFrustumHandle] = {}

    def place(self, world_from_scene: Sim3) -> None:
        """Move the scene; what depends on its scale is drawn anew by the next `show`."""
        if float(world_from_scene.scale) != self.scale or not self._frusta:
            self.scale = float(world_from_scene.scale)
            self._add_frusta()
        self.root.wxyz = quaternion(world_from_scene.rotation.numpy())
        self.root.position = world_from_scene.translation.numpy()

    def show(self, look: Look) -> None:
        """Make the nodes agree with the panel."""
        frame = min(look.frame, self.shown.scene.frames - 1)
        self._show_surfaces(look, frame)
        for index, frustum in enumerate(self._frusta):
            frustum.visible = look.cameras == ALL_CAMERAS or (look.cameras == THIS_CAMERA and index == frame)
            frustum.color = HERE if index == frame else self._camera_color(index)
        if look.pictures and look.cameras != NO_CAMERAS:
            self._picture(frame)
        for index, picture in self._pictures.items():
            picture.visible = index == frame and look.pictures and look.cameras != NO_CAMERAS

    def _show_surfaces(self, look: Look, frame: int) -> None:
        geometry = GEOMETRIES[look.geometry]
        filters = self._own(look)
        if self._drawn_as != (look.geometry, filters, self.scale):
            self._outdated += [node for node in self._drawn.values() if node is not None]
            self._drawn = {}
            self._drawn_as = (look.geometry, filters, self.scale)
            self._edition += 1
        wanted: tuple[int | None, ...] = (None,)
        if geometry.by_frame and look.span != ALL_FRAMES:
            wanted = (frame,) if look.span == THIS_FRAME else tuple(range(frame + 1))
        size = look.point_size * self.shown.pixel_size * self.scale
        for index in wanted:
            if index not in self._drawn:
                place = "all" if index is None else str(index)
                self._drawn[index] = geometry.draw(
                    self.api,
                    Request(
                        node=f"{self.name}/surface{self._edition}/{place}",
                        shown=self.shown,
                        filters=filters,
                        frame=index,
                        scale=self.scale,
                        point_size=size,
                    ),
                )
        while self._outdated:  # what was there stays until its successor is
            self._outdated.pop().remove()
        for index, node in self._drawn.items():
            if node is not None:
                node.visible = index in wanted
                if isinstance(node, viser.PointCloudHandle):
                    node.point_size = size

    def _own(self, look: Look) -> Filters:
        """The filters in this scene's units."""
        return replace(look.filters, max_depth=look.filters.max_depth / self.scale)

    def _add_frusta(self) -> None:
        for node in (*self._frusta, *self._pictures.values()):
            node.remove()
        self._pictures.clear()
        self._frusta = [
            self._frustum(index, "cameras", self._camera_color(index)) for index in range(self.shown.scene.frames)
        ]
        if self.labelled:
            self.label = self.api.add_label(
                f"{self.name}/label", self.shown.name, position=self._label_position(), anchor="bottom-center"
            )

    def _picture(self, index: int) -> None:
        if index not in self._pictures:
            self._pictures[index] = self._frustum(index, "pictures", HERE, self.shown.thumbnail(index))

    def _frustum(
        self, index: int, group: str, color: tuple[int, int, int], image: np.ndarray | None = None
    ) -> viser.CameraFrustumHandle:
        camera = self.shown.scene.cameras[index]
        pose = camera.world_from_camera.double().numpy()
        fov = float(camera.fov[0])
        aspect = camera.width / camera.height
        depth = FRUSTUM * self.shown.median_depth * self.scale
        return self.api.add_camera_frustum(
            f"{self.name}/{group}/{index}",
            fov=fov,
            aspect=aspect,
            scale=frustum_scale(fov, aspect, depth),
            thickness=1.5,
            thickness_units="screen",
            color=color,
            image=image,
            jpeg_quality=85,
            wxyz=quaternion(pose[:3, :3]),
            position=pose[:3, 3] * self.scale,
            cast_shadow=False,
            receive_shadow=False,
        )

    def _camera_color(self, index: int) -> tuple[int, int, int]:
        red, green, blue = viridis(np.array(index / max(1, self.shown.scene.frames - 1))).tolist()
        return red, green, blue

    def _label_position(self) -> tuple[float, float, float]:
        camera = self.shown.scene.cameras[0].world_from_camera
        above = camera[:3, 3] + self.shown.median_depth * (camera[:3, 2] - 0.9 * camera[:3, 1])
        x, y, z = (above * self.scale).tolist()
        return x, y, z


def frustum_scale(fov: float, aspect: float, depth: float) -> float:
    """viser's scale of a frustum whose picture stands at `depth`.

    At scale 1 viser gives all frusta one volume; see `CameraFrustumHandle.compute_canonical_frustum_size`.
    """
    half = np.tan(fov / 2)
    return float(depth * np.cbrt(half * half * aspect / 3))
