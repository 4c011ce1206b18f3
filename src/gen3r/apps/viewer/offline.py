"""Pictures and videos of scenes, rendered without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.apps.viewer.gathered import gather
from gen3r.apps.viewer.placement import Arrangement, place
from gen3r.scene.turntable import Turntable, render, turntable_cameras, write_turntable
from gen3r.whole_file import whole_file


def render_files(
    scenes: Sequence[ShownScene],
    *,
    filters: Filters,
    arrangement: Arrangement,
    table: Turntable,
    screenshot: Path | None = None,
    video: Path | None = None,
) -> None:
    """Write the first view as PNG, the turntable as H.264, or both; each file whole or not at all.

    Raises:
        ValueError: if nothing passes the filters.
    """
    together = gather(scenes, place(scenes, arrangement), filters)
    if not len(together.discs):
        raise ValueError("there is no point to draw: the scenes show no surface; look at their masks and depth.")
    cameras = turntable_cameras(together.discs.points, together.cameras, table)
    if screenshot is not None:
        picture = render(together.discs, cameras[0])
        with whole_file(screenshot) as temporary:
            Image.fromarray(picture).save(temporary, format="PNG")
    if video is not None:
        write_turntable(video, together.discs, cameras, table.rate)
