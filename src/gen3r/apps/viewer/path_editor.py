"""Drawing a camera path in the browser: its panel, and the path itself."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import viser
from jaxtyping import Float

from gen3r.apps.viewer.data import ShownScene
from gen3r.apps.viewer.files import unused_path
from gen3r.apps.viewer.path import DrawnPath
from gen3r.apps.viewer.path_nodes import PathNodes
from gen3r.apps.viewer.poses import pose_matrix, quaternion
from gen3r.cameras.alignment import mean_depth

FRAMES = (5, 121)
"""Shortest and longest path, both 4k+1 as `gen3r generate` takes them."""
FRUSTUM = 0.05
"""Depth of the frusta on a path, in median depths of the scene."""
FILE = "camera_path.json"
START = "Key cameras make a path. Begin with the first camera, from which a photo is seen."


class PathEditor:
    """Key cameras in the world of the first scene, their controls in the current folder of the panel."""

    def __init__(
        self,
        server: viser.ViserServer,
        shown: ShownScene,
        out: Path,
        *,
        frame: Callable[[], int],
        speed: Callable[[], float],
        bare: Callable[[bool], None],
    ) -> None:
        """Add the controls.

        Args:
            server: its panel and scene.
            shown: the first scene, whose world the path is in.
            out: existing folder for saved paths.
            frame: the current frame.
            speed: of the preview, frames per second.
            bare: asked to hide what is drawn beside the surfaces, and to show it again.
        """
        self.shown = shown
        self.out = out
        self.keys: list[Float[np.ndarray, "4 4"]] = []
        self.chosen = -1
        self._held = False
        self.nodes = PathNodes(server.scene, FRUSTUM * shown.median_depth)
        self._frame, self._speed, self._bare = frame, speed, bare
        self._lock = threading.RLock()
        self._previewing = threading.Event()
        self._add_controls(server.gui)

    @property
    def path(self) -> DrawnPath | None:
        """What is drawn; None without a key camera."""
        if not self.keys:
            return None
        scene = self.shown.scene
        return DrawnPath(
            keys=tuple(self.keys),
            frames=int(self.frames.value),
            fov_degrees=float(self.fov.value),
            height=scene.height,
            width=scene.width,
        )

    def add(self, pose: Float[np.ndarray, "4 4"], gizmo: bool = True) -> None:
        """Insert a key camera (world-from-camera) after the chosen one and choose it."""
        with self._lock:
            self.keys.insert(self.chosen + 1, np.asarray(pose, np.float64))
            self.choose(self.chosen + 1, gizmo)

    def choose(self, index: int, gizmo: bool = True) -> None:
        """Choose a key camera; -1 for none. The gizmo to move it with would be in the way of a view from there."""
        with self._lock:
            self.chosen = min(index, len(self.keys) - 1)
            self._held = gizmo and self.chosen >= 0
            self.draw()

    def move(self, pose: Float[np.ndarray, "4 4"], done: bool = True) -> None:
        """Give the chosen key camera another pose; until `done` the line alone follows."""
        with self._lock:
            if self.chosen < 0:
                return
            self.keys[self.chosen] = pose
            path = self.path
            if done:
                self.draw()
            elif path is not None:
                self.nodes.draw_line(path.poses.numpy())

    def delete(self) -> None:
        """Remove the chosen key camera."""
        with self._lock:
            if self.chosen >= 0:
                del self.keys[self.chosen]
                self.choose(max(self.chosen - 1, 0))

    def shift(self, by: int) -> None:
        """Exchange the chosen key camera with a later or earlier one."""
        with self._lock:
            other = self.chosen + by
            if self.chosen >= 0 and 0 <= other < len(self.keys):
                self.keys[self.chosen], self.keys[other] = self.keys[other], self.keys[self.chosen]
                self.choose(other)

    def clear(self) -> None:
        """Remove all key cameras."""
        with self._lock:
            self.keys.clear()
            self.choose(-1)

    def draw(self) -> None:
        """Make nodes and panel agree with the keys."""
        with self._lock:
            path = self.path
            self.nodes.draw(path, self.chosen, self.choose)
            self.nodes.hold(self.keys[self.chosen] if self._held else None, self.move)
            self.state.content = self._told(path)
            self.key.max = max(1, len(self.keys))
            self.key.value = max(1, self.chosen + 1)
            for button in self._need_a_key:
                button.disabled = path is None

    def save(self) -> Path | None:
        """Write the path into the folder under an unused name; None if there is none."""
        path = self.path
        if path is None:
            return None
        file = unused_path(self.out, FILE)
        path.save(file)
        return file

    def preview(self, client: viser.ClientHandle) -> None:
        """Let the client's camera follow the path once, then go back; a second call ends it."""
        if self._previewing.is_set():
            self._previewing.clear()
            return
        path = self.path
        if path is None:
            return
        self._previewing.set()
        camera = client.camera
        back = pose_matrix(camera.wxyz, camera.position), camera.fov
        self.nodes.visible = False
        self._bare(True)
        try:
            pause = threading.Event()
            for pose in path.poses.numpy():
                if not self._previewing.is_set():
                    break
                stand(client, pose, math.radians(path.fov_degrees))
                pause.wait(1 / self._speed())
        finally:
            self._previewing.clear()
            self.nodes.visible = True
            self._bare(False)
            stand(client, *back)

    def _add_controls(self, gui: viser.GuiApi) -> None:
        scene = self.shown.scene
        low, high = FRAMES
        self.state = gui.add_markdown(START)
        first = gui.add_button("Add the first camera", icon=viser.Icon.CAMERA)
        current = gui.add_button("Add the current frame's camera", icon=viser.Icon.CAMERA_PLUS)
        view = gui.add_button("Add this view", icon=viser.Icon.EYE, hint="Where you look from now.")
        self.key = gui.add_slider("Key camera", min=1, max=1, step=1, initial_value=1, disabled=True)
        order = gui.add_button_group("Order", ("Earlier", "Later"))
        delete = gui.add_button("Delete", icon=viser.Icon.TRASH, color="gray", disabled=True)
        clear = gui.add_button("Clear", icon=viser.Icon.X, color="gray", disabled=True)
        self.frames = gui.add_slider(
            "Frames", min=low, max=high, step=4, initial_value=min(high, max(low, (scene.frames + 1) // 4 * 4 + 1))
        )
        self.fov = gui.add_slider(
            "Field of view",
            min=10.0,
            max=120.0,
            step=0.1,
            initial_value=round(min(120.0, max(10.0, math.degrees(float(scene.cameras.fov[0, 0])))), 1),
            hint="Vertical, degrees.",
        )
        preview = gui.add_button("Preview", icon=viser.Icon.PLAYER_PLAY, disabled=True)
        save = gui.add_button("Save", icon=viser.Icon.DEVICE_FLOPPY, disabled=True)
        download = gui.add_button("Download", icon=viser.Icon.DOWNLOAD, disabled=True)
        self._need_a_key = (self.key, delete, clear, preview, save, download)

        first.on_click(lambda _: self.add(self._camera(0)))
        current.on_click(lambda _: self.add(self._camera(self._frame())))
        delete.on_click(lambda _: self.delete())
        clear.on_click(lambda _: self.clear())
        order.on_click(lambda event: self.shift(1 if event.target.value == "Later" else -1))
        self.key.on_update(lambda event: self._pick(int(event.target.value) - 1))
        self.frames.on_update(lambda _: self.draw())
        self.fov.on_update(lambda _: self.draw())

        @view.on_click
        def _(event: viser.GuiEvent) -> None:
            if event.client is not None:
                self.add(pose_matrix(event.client.camera.wxyz, event.client.camera.position), gizmo=False)

        @preview.on_click
        def _(event: viser.GuiEvent) -> None:
            if event.client is not None:
                self.preview(event.client)

        @save.on_click
        def _(event: viser.GuiEvent) -> None:
            file = self.save()
            if event.client is not None and file is not None:
                event.client.add_notification("Camera path saved", f"{file}", auto_close_seconds=8.0, color="green")

        @download.on_click
        def _(event: viser.GuiEvent) -> None:
            path = self.path
            if event.client is not None and path is not None:
                event.client.send_file_download(FILE, path.file_content(), save_immediately=True)

    def _pick(self, index: int) -> None:
        if index != self.chosen and 0 <= index < len(self.keys):
            self.choose(index)

    def _camera(self, frame: int) -> Float[np.ndarray, "4 4"]:
        scene = self.shown.scene
        return scene.cameras[min(frame, scene.frames - 1)].world_from_camera.double().numpy()

    def _told(self, path: DrawnPath | None) -> str:
        if path is None:
            return START
        scene = self.shown.scene
        unit = float(mean_depth(scene.depth[0].where(scene.mask[0], 0.0)))
        return (
            f"Key camera {self.chosen + 1} of {len(path.keys)}. Click another to move it.\n\n"
            f"`gen3r generate PHOTO --cameras {FILE} --camera-scale {unit:.4g} --frames {path.frames} --out DIR`"
        )


def stand(client: viser.ClientHandle, pose: Float[np.ndarray, "4 4"], fov: float | None = None) -> None:
    """Put a client's camera at a world-from-camera pose; `fov` is vertical, radians."""
    with client.atomic():
        client.camera.position = pose[:3, 3]
        client.camera.wxyz = quaternion(pose[:3, :3])
        if fov is not None:
            client.camera.fov = fov
