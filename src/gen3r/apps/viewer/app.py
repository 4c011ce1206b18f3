"""The viewer: scenes, panel and path editor on a viser server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import viser

from gen3r.apps.viewer.capture_panel import CapturePanel
from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.apps.viewer.gathered import gather
from gen3r.apps.viewer.latest import LatestOnly
from gen3r.apps.viewer.panel import Panel
from gen3r.apps.viewer.path_editor import PathEditor, stand
from gen3r.apps.viewer.placement import Arrangement, place
from gen3r.apps.viewer.scene_layer import NO_CAMERAS, Look, SceneLayer
from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import project
from gen3r.scene.turntable import Turntable, turntable_cameras

START = Turntable(elevation=18.0, frames=1, height=760, width=960)
"""The first view."""
SAMPLE = 20_000
"""Points of each scene that it is chosen by."""


class Viewer:
    """Shows scenes until `close`."""

    def __init__(self, server: viser.ViserServer, scenes: Sequence[ShownScene], out: Path) -> None:
        """Show everything as it is at once, then build the panel, then clean.

        Args:
            server: of `listening`.
            scenes: at least one; the world is the first one's.
            out: existing folder for what the buttons save.
        """
        self.server = server
        self.scenes = tuple(scenes)
        self._is_bare = False
        self.refresh = LatestOnly(self._show)
        self.rearrange = LatestOnly(self._arrange)
        self.layers = tuple(
            SceneLayer(server.scene, f"scene{index}", shown, label=len(scenes) > 1)
            for index, shown in enumerate(scenes)
        )
        self._choose_view()
        self._show_at_once()
        tabs = server.gui.add_tab_group()
        with tabs.add_tab("View", icon=viser.Icon.EYE):
            self.panel = Panel(
                server.gui,
                [shown.name for shown in scenes],
                frames=max(shown.scene.frames for shown in scenes),
                far=max(shown.far * scenes[0].median_depth / shown.median_depth for shown in scenes),
                changed=self.refresh,
                rearranged=self.rearrange,
            )
            look = server.gui.add_button("Look through the current camera", icon=viser.Icon.VIEWFINDER)
            look.on_click(lambda event: self._look_through(event.client))
        with tabs.add_tab("Camera path", icon=viser.Icon.ROUTE):
            self.editor = PathEditor(
                server,
                scenes[0],
                out,
                frame=lambda: self.panel.timeline.frame,
                speed=lambda: self.panel.timeline.speed.value,
                bare=self._set_bare,
            )
        with tabs.add_tab("Pictures", icon=viser.Icon.PHOTO):
            self.capture = CapturePanel(server.gui, out)
        self._arrange()

    def close(self) -> None:
        """Stop to play; the server goes on."""
        self.panel.timeline.close()

    def _show_at_once(self) -> None:
        """All points, before anything that takes time: cleaning asks every frame about every other."""
        for layer, where in zip(self.layers, place(self.scenes, Arrangement()), strict=True):
            layer.place(where)
            layer.show(Look(filters=Filters(cleaning="none")))
        self.server.flush()

    def _arrange(self) -> None:
        for layer, where in zip(self.layers, place(self.scenes, self.panel.arrangement), strict=True):
            layer.place(where)
        self.refresh()

    def _set_bare(self, bare: bool) -> None:
        self._is_bare = bare
        self.refresh()

    def _show(self) -> None:
        look = replace(self.panel.look, cameras=NO_CAMERAS) if self._is_bare else self.panel.look
        for index, layer in enumerate(self.layers):
            layer.root.visible = self.panel.is_shown(index)
            if layer.root.visible:
                self._show_layer(layer, look)

    def _show_layer(self, layer: SceneLayer, look: Look) -> None:
        """Draw, and tell everybody what cannot be drawn."""
        try:
            layer.show(look)
        except ValueError as error:
            for client in self.server.get_clients().values():
                client.add_notification(f"{layer.shown.name} cannot be shown like this", f"{error}", color="red")

    def _choose_view(self) -> None:
        """Put clients, those that are waiting and those to come, where all scenes are in the picture."""
        placed = place(self.scenes, Arrangement())
        together = gather(self.scenes, placed, Filters(cleaning="none", max_points=SAMPLE))
        if not len(together.discs):
            return
        start = turntable_cameras(together.discs.points, together.cameras, START)[0]
        distance = float(project(together.discs.points, start)[1].median())
        initial = self.server.initial_camera
        self._stand(initial, start, distance)
        self.server.on_client_connect(lambda client: self._stand(client.camera, start, distance))

    def _stand(self, camera: viser.CameraHandle | viser.InitialCameraConfig, start: Cameras, distance: float) -> None:
        pose = start.world_from_camera.double().numpy()
        camera.position = pose[:3, 3]
        camera.look_at = pose[:3, 3] + distance * pose[:3, 2]
        camera.fov = float(start.fov[0])
        camera.near = distance / 200
        camera.far = distance * 1000

    def _look_through(self, client: viser.ClientHandle | None) -> None:
        if client is None:
            return
        first = self.scenes[0].scene
        camera = first.cameras[min(self.panel.timeline.frame, first.frames - 1)]
        stand(client, camera.world_from_camera.double().numpy(), float(camera.fov[0]))
