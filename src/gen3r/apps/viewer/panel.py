"""The viewer's controls for how scenes look."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import viser

from gen3r.apps.viewer.data import Filters
from gen3r.apps.viewer.geometry import GEOMETRIES
from gen3r.apps.viewer.placement import Arrangement
from gen3r.apps.viewer.scene_layer import ALL_CAMERAS, ALL_FRAMES, CAMERA_CHOICES, SPANS, Look
from gen3r.apps.viewer.timeline import Timeline
from gen3r.scene.cleaning import CLEANING_LEVELS

SIDE_BY_SIDE, OVERLAID = "Side by side", "Overlaid"


class Panel:
    """Reads as a `Look`, an `Arrangement` and which scenes are visible."""

    def __init__(
        self,
        gui: viser.GuiApi,
        names: Sequence[str],
        *,
        frames: int,
        far: float,
        changed: Callable[[], None],
        rearranged: Callable[[], None],
    ) -> None:
        """Add the controls to the current container.

        Args:
            names: of the scenes.
            frames: of the longest scene.
            far: end of the slider of depths, world units.
            changed: called when the look changed, from any thread.
            rearranged: called when scenes move or disappear.
        """
        step = 10.0 ** (math.floor(math.log10(far)) - 1)
        self.far = round(math.ceil(far / step) * step, 6)
        self.timeline = Timeline(gui, frames, changed)
        self.shown: list[viser.GuiCheckboxHandle] = []
        self.layout: viser.GuiDropdownHandle[str] | None = None
        self.same_size: viser.GuiCheckboxHandle | None = None
        if len(names) > 1:
            self._add_scenes(gui, names, rearranged)
        with gui.add_folder("Surfaces"):
            self.geometry = gui.add_dropdown("Draw", [name for name, way in GEOMETRIES.items() if way.available])
            self.span = gui.add_dropdown("Frames", SPANS, initial_value=ALL_FRAMES)
            self.cleaning = gui.add_dropdown(
                "Cleaning", tuple(CLEANING_LEVELS), initial_value=Filters().cleaning, hint="Removes what floats."
            )
            self.confidence = gui.add_slider(
                "Confidence",
                min=0,
                max=95,
                step=5,
                initial_value=0,
                hint="Hide this share of pixels, the least sure (%).",
            )
            self.max_depth = gui.add_slider(
                "Max depth", min=step, max=self.far, step=step, initial_value=self.far, hint="Scene units."
            )
            self.point_size = gui.add_slider(
                "Point size",
                min=0.2,
                max=5.0,
                step=0.1,
                initial_value=Look().point_size,
                hint="In pixels of the frames.",
            )
        with gui.add_folder("Cameras"):
            self.cameras = gui.add_dropdown("Show", CAMERA_CHOICES, initial_value=ALL_CAMERAS)
            self.pictures = gui.add_checkbox("Picture of the current frame", initial_value=True)
        for control in (
            *(self.geometry, self.span, self.cleaning, self.confidence, self.max_depth, self.point_size),
            *(self.cameras, self.pictures),
        ):
            control.on_update(lambda _: changed())

    @property
    def look(self) -> Look:
        """What the controls say now."""
        limit = self.max_depth.value
        return Look(
            geometry=self.geometry.value,
            span=self.span.value,
            frame=self.timeline.frame,
            filters=Filters(
                cleaning=self.cleaning.value,
                confidence=self.confidence.value / 100,
                max_depth=limit if limit < 0.999 * self.far else math.inf,
            ),
            point_size=self.point_size.value,
            cameras=self.cameras.value,
            pictures=self.pictures.value,
        )

    @property
    def arrangement(self) -> Arrangement:
        """How scenes share the world."""
        if self.layout is None or self.same_size is None:
            return Arrangement()
        return Arrangement(side_by_side=self.layout.value == SIDE_BY_SIDE, same_size=self.same_size.value)

    def is_shown(self, index: int) -> bool:
        """Whether a scene is switched on."""
        return not self.shown or self.shown[index].value

    def _add_scenes(self, gui: viser.GuiApi, names: Sequence[str], rearranged: Callable[[], None]) -> None:
        with gui.add_folder("Scenes"):
            self.shown = [gui.add_checkbox(name, initial_value=True) for name in names]
            layout: viser.GuiDropdownHandle[str] = gui.add_dropdown("Layout", [SIDE_BY_SIDE, OVERLAID])
            same_size = gui.add_checkbox(
                "Same size", initial_value=True, hint="Scale scenes so that their first frames are equally deep."
            )
        self.layout, self.same_size = layout, same_size
        for control in (*self.shown, layout, same_size):
            control.on_update(lambda _: rearranged())


def _step(reach: float) -> float:
    """A power of ten that divides a slider up to `reach` into ten to a hundred steps."""
    return 10.0 ** (math.floor(math.log10(reach)) - 1)
