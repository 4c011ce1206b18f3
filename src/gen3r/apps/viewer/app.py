"""The viewer: a viser server with scenes, panel and path editor."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import viser

from gen3r.apps.viewer.capture import UP
from gen3r.apps.viewer.capture_panel import CapturePanel
from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.apps.viewer.gathered import gather
from gen3r.apps.viewer.latest import LatestOnly
from gen3r.apps.viewer.panel import Panel
from gen3r.apps.viewer.path_editor import PathEditor, stand
from gen3r.apps.viewer.placement import place
from gen3r.apps.viewer.scene_layer import NO_CAMERAS, SceneLayer
from gen3r.cameras.projection import project
from gen3r.scene.turntable import Turntable, turntable_cameras

START = Turntable(elevation=18.0, frames=1, height=760, width=960)
"""The first view."""
SAMPLE = 20_000
"""Points of each scene that it is chosen by."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the viewer listens."""

    host: str = "127.0.0.1"
    """Loopback: nobody else can connect. 0.0.0.0 lets everyone in, without a password."""
    port: int = 8080
    """0 takes any free one."""

    def check(self) -> None:
        """Try it.

        Raises:
            ValueError: if the port is taken or the host is not this machine's.
        """
        with socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((self.host, self.port))
            except OSError as error:
                raise ValueError(
                    f"cannot listen on {self.host} port {self.port}: {error.strerror or error}; name another --port, "
                    "or 0 for any free one."
                ) from error


class Viewer:
    """Shows scenes until `close`."""

    def __init__(self, scenes: Sequence[ShownScene], address: Address, out: Path) -> None:
        """Start to listen. Nothing of the scenes is shown before `open`.

        Args:
            scenes: at least one; the world is the first one's.
            address: where to listen.
            out: existing folder for what the buttons save.

        Raises:
            ValueError: if it cannot listen there.
        """
        address.check()
        self.scenes = tuple(scenes)
        self.out = out
        with contextlib.redirect_stdout(io.StringIO()):  # viser prints a banner
            self.server = viser.ViserServer(host=address.host, port=address.port, label="Gen3R", verbose=False)
        self._ending = contextlib.ExitStack()
        self._ending.callback(self._stop)
        self.layers: tuple[SceneLayer, ...] = ()
        self._is_bare = False
        self.refresh = LatestOnly(self._show)
        self.rearrange = LatestOnly(self._arrange)

    @property
    def url(self) -> str:
        """What to open in a browser."""
        host = self.server.get_host()
        return f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1') else host}:{self.server.get_port()}"

    def open(self) -> None:
        """Build the panel and show everything."""
        server, scenes = self.server, self.scenes
        server.scene.set_up_direction("-y")
        server.scene.world_axes.visible = False
        server.gui.main_panel.dock_right()
        server.gui.configure_theme(show_logo=False, show_share_button=False, brand_color=(40, 110, 255))
        self.layers = tuple(
            SceneLayer(server.scene, f"scene{index}", shown, label=len(scenes) > 1)
            for index, shown in enumerate(scenes)
        )
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
            self._ending.callback(self.panel.timeline.close)
            look = server.gui.add_button("Look through the current camera", icon=viser.Icon.VIEWFINDER)
            look.on_click(lambda event: self._look_through(event.client))
        with tabs.add_tab("Camera path", icon=viser.Icon.ROUTE):
            self.editor = PathEditor(
                server,
                scenes[0],
                self.out,
                frame=lambda: self.panel.timeline.frame,
                speed=lambda: self.panel.timeline.speed.value,
                bare=self._set_bare,
            )
        with tabs.add_tab("Pictures", icon=viser.Icon.PHOTO):
            self.capture = CapturePanel(server.gui, self.out)
        self._choose_view()
        self._arrange()

    def close(self) -> None:
        """Stop to listen and to play."""
        self._ending.close()

    def _stop(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()

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
                layer.show(look)

    def _choose_view(self) -> None:
        """Where new clients begin: outside the scenes, with all of them in the picture."""
        placed = place(self.scenes, self.panel.arrangement)
        together = gather(self.scenes, placed, Filters(cleaning="none", max_points=SAMPLE))
        start = turntable_cameras(together.cloud.points, together.cameras, START)[0]
        pose = start.world_from_camera.double().numpy()
        distance = float(project(together.cloud.points, start)[1].median())
        initial = self.server.initial_camera
        initial.position = pose[:3, 3]
        initial.look_at = pose[:3, 3] + distance * pose[:3, 2]
        initial.up = UP
        initial.fov = float(start.fov[0])
        initial.near = self.scenes[0].median_depth / 100
        initial.far = self.scenes[0].median_depth * 1000

    def _look_through(self, client: viser.ClientHandle | None) -> None:
        if client is None:
            return
        first = self.scenes[0].scene
        camera = first.cameras[min(self.panel.timeline.frame, first.frames - 1)]
        stand(client, camera.world_from_camera.double().numpy(), float(camera.fov[0]))
