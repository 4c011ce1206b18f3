"""A drawn path as viser nodes: key cameras, the line of their spline, and a camera for each frame."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import viser
from jaxtyping import Float

from gen3r.apps.viewer.path import DrawnPath
from gen3r.apps.viewer.poses import pose_matrix, quaternion
from gen3r.apps.viewer.scene_layer import frustum_scale

ROOT = "/path"
PATH_COLOR, KEY_COLOR, CHOSEN_COLOR = (40, 110, 255), (240, 160, 20), (255, 60, 30)
KEY_SIZE = 1.6
"""Depth of a key's frustum in those of the path's."""


class PathNodes:
    """Nodes below `ROOT`, in the world of the first scene. Poses are set when nodes are made: viser drops changes of a
    hundred-thousandth, and what is shown must be what is saved."""

    def __init__(self, api: viser.SceneApi, size: float) -> None:
        """Nothing is drawn yet.

        Args:
            size: depth of the frusta on the path, world units.
        """
        self.api = api
        self.size = size
        self._root = api.add_frame(ROOT, show_axes=False)
        self._keys: list[viser.CameraFrustumHandle] = []
        self._frames: list[viser.CameraFrustumHandle] = []
        self._line: viser.LineSegmentsHandle | None = None
        self._gizmo: viser.TransformControlsHandle | None = None

    @property
    def visible(self) -> bool:
        """Whether any of it is seen."""
        return self._root.visible

    @visible.setter
    def visible(self, value: bool) -> None:
        self._root.visible = value

    @property
    def poses(self) -> Float[np.ndarray, "F 4 4"]:
        """World-from-camera poses of the frames' nodes as they are shown."""
        return np.stack([pose_matrix(node.wxyz, node.position) for node in self._frames])

    def draw(self, path: DrawnPath | None, chosen: int, clicked: Callable[[int], None]) -> None:
        """Show another path, or none; `clicked` is told the index of a key camera that somebody clicks."""
        for node in (*self._keys, *self._frames):
            node.remove()
        self._keys, self._frames = [], []
        if path is None:
            self.draw_line(None)
            return
        poses = path.poses.numpy()
        self.draw_line(poses)
        self._frames = [
            self._frustum(f"frames/{index}", pose, path, self.size, PATH_COLOR) for index, pose in enumerate(poses)
        ]
        for index, pose in enumerate(path.keys):
            color = CHOSEN_COLOR if index == chosen else KEY_COLOR
            node = self._frustum(f"keys/{index}", pose, path, self.size * KEY_SIZE, color, thickness=3.0)
            node.on_click(lambda _, index=index: clicked(index))
            self._keys.append(node)

    def draw_line(self, poses: Float[np.ndarray, "F 4 4"] | None) -> None:
        """Show the way the camera takes, which is cheap enough to follow a gizmo."""
        if poses is None or len(poses) < 2:
            if self._line is not None:
                self._line.remove()
                self._line = None
            return
        centers = poses[:, :3, 3]
        segments = np.stack([centers[:-1], centers[1:]], axis=1).astype(np.float32)
        self._line = self.api.add_line_segments(
            f"{ROOT}/line", segments, PATH_COLOR, thickness=3.0, thickness_units="screen"
        )

    def hold(self, pose: Float[np.ndarray, "4 4"] | None, moved: Callable[[np.ndarray, bool], None]) -> None:
        """Put the gizmo on a key camera, or away.

        Args:
            pose: world-from-camera.
            moved: told the new pose and whether the hand has let go.
        """
        if self._gizmo is not None:
            self._gizmo.remove()
            self._gizmo = None
        if pose is None:
            return
        gizmo = self.api.add_transform_controls(
            f"{ROOT}/gizmo",
            scale=2.0 * self.size,
            depth_test=False,
            wxyz=quaternion(pose[:3, :3]),
            position=pose[:3, 3],
        )

        @gizmo.on_update
        async def _(event: viser.TransformControlsEvent) -> None:
            moved(pose_matrix(event.target.wxyz, event.target.position), event.phase == "end")

        self._gizmo = gizmo

    def _frustum(
        self,
        name: str,
        pose: Float[np.ndarray, "4 4"],
        path: DrawnPath,
        depth: float,
        color: tuple[int, int, int],
        thickness: float = 1.0,
    ) -> viser.CameraFrustumHandle:
        fov, aspect = math.radians(path.fov_degrees), path.width / path.height
        return self.api.add_camera_frustum(
            f"{ROOT}/{name}",
            fov=fov,
            aspect=aspect,
            scale=frustum_scale(fov, aspect, depth),
            thickness=thickness,
            thickness_units="screen",
            color=color,
            wxyz=quaternion(pose[:3, :3]),
            position=pose[:3, 3],
            cast_shadow=False,
            receive_shadow=False,
        )
