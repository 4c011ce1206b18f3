"""The current frame: a slider, and a clock that moves it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import viser

from gen3r.scene.export.video import FRAMES_PER_SECOND


class Timeline:
    """Slider, play button and speed in the current folder of the panel."""

    def __init__(self, gui: viser.GuiApi, frames: int, changed: Callable[[], None]) -> None:
        """Add the controls.

        Args:
            frames: of the longest scene.
            changed: called whenever the frame changed, from any thread.
        """
        self.frames = frames
        self._changed = changed
        self._playing = threading.Event()
        self._closing = threading.Event()
        self.slider = gui.add_slider(
            "Frame", min=0, max=max(1, frames - 1), step=1, initial_value=0, disabled=frames < 2
        )
        self.button = gui.add_button("Play", icon=viser.Icon.PLAYER_PLAY, disabled=frames < 2)
        self.speed = gui.add_slider(
            "Speed", min=1, max=30, step=1, initial_value=FRAMES_PER_SECOND, hint="Frames per second."
        )
        self.slider.on_update(lambda _: self._changed())
        self.button.on_click(lambda _: self.toggle())
        self._clock = threading.Thread(target=self._run, name="gen3r-timeline", daemon=True)
        self._clock.start()

    @property
    def frame(self) -> int:
        """The current frame."""
        return min(int(self.slider.value), self.frames - 1)

    def toggle(self) -> None:
        """Play, or pause."""
        if self._playing.is_set():
            self._playing.clear()
        else:
            self._playing.set()
        playing = self._playing.is_set()
        self.button.label = "Pause" if playing else "Play"
        self.button.icon = viser.Icon.PLAYER_PAUSE if playing else viser.Icon.PLAYER_PLAY

    def close(self) -> None:
        """Stop the clock."""
        self._closing.set()
        self._playing.set()
        self._clock.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._playing.wait()
            if self._closing.wait(1 / self.speed.value):
                return
            if self._playing.is_set():
                self.slider.value = (self.frame + 1) % self.frames
