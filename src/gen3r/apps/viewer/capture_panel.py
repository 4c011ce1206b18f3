"""Buttons that save what the browser shows."""

from __future__ import annotations

import threading
from pathlib import Path

import viser

from gen3r.apps.viewer.capture import screenshot, turntable
from gen3r.apps.viewer.files import unused_path
from gen3r.scene.turntable import FULL_TURN, Turntable

SIZES = {"1280 x 720": (720, 1280), "1920 x 1080": (1080, 1920), "1080 x 1080": (1080, 1080)}
"""(height, width) of pictures and videos by what the panel calls them."""


class CapturePanel:
    """Screenshot and turntable video of the client that asks, into one folder."""

    def __init__(self, gui: viser.GuiApi, out: Path) -> None:
        self.out = out
        self._busy = threading.Lock()
        self.size = gui.add_dropdown("Size", tuple(SIZES))
        shot = gui.add_button("Screenshot", icon=viser.Icon.CAMERA)
        self.turn = gui.add_slider(
            "Turn", min=10, max=int(FULL_TURN), step=10, initial_value=60, hint="Degrees; below 360 it swings back."
        )
        self.seconds = gui.add_slider("Seconds", min=1, max=20, step=1, initial_value=4)
        video = gui.add_button("Turntable video", icon=viser.Icon.ROTATE_360)
        self.progress = gui.add_progress_bar(0.0, visible=False)
        shot.on_click(lambda event: self._capture(event, "view.png"))
        video.on_click(lambda event: self._capture(event, "turntable.mp4"))

    @property
    def table(self) -> Turntable:
        """What the controls say about the video."""
        height, width = SIZES[self.size.value]
        rate = Turntable().rate
        return Turntable(
            turn=float(self.turn.value), frames=int(self.seconds.value) * rate, rate=rate, height=height, width=width
        )

    def _capture(self, event: viser.GuiEvent, name: str) -> None:
        client = event.client
        if client is None or not self._busy.acquire(blocking=False):
            return
        try:
            file = unused_path(self.out, name)
            if file.suffix == ".png":
                screenshot(client, file, SIZES[self.size.value])
            else:
                self.progress.visible = True
                turntable(client, file, self.table, self._advance)
            client.add_notification("Saved", f"{file}", auto_close_seconds=8.0, color="green")
        finally:
            self.progress.visible = False
            self._busy.release()

    def _advance(self, fraction: float) -> None:
        self.progress.value = 100 * fraction
