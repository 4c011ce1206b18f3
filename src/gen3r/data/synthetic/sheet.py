"""A contact sheet of clips: frames, depth and caption at a glance."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from gen3r.data.clip import Clip
from gen3r.scene.colormap import depth_colors, depth_range, inferno
from gen3r.scene.export.sheet import Legend, Sheet
from gen3r.scene.limits import evenly_spread
from gen3r.whole_file import whole_file

SHOWN_FRAMES = 4
"""Frames per clip, first and last among them."""
MOST_ROWS = 32
"""Clips on one sheet."""
_CAPTION_LENGTH = 175
"""Characters that fit below a row."""


def excerpt(clip: Clip) -> Clip:
    """The frames of a clip that a sheet shows, so that the rest need not be kept."""
    frames = evenly_spread(len(clip.rgb), SHOWN_FRAMES)
    return replace(clip, rgb=clip.rgb[frames], depth=clip.depth[frames], cameras=clip.cameras[frames])


def contact_sheet(clips: Iterable[Clip], path: str | Path) -> Path:
    """Draw clips one below the other: up to four frames, then the depth of the first and last, bright = near.

    The colours of depth span each clip's own range. The file appears whole or not at all, over an existing one.

    Raises:
        ValueError: for no clips, or more than `MOST_ROWS`.
    """
    listed = [excerpt(clip) for clip in clips]
    if not 1 <= len(listed) <= MOST_ROWS:
        raise ValueError(f"a sheet shows 1 to {MOST_ROWS} clips, got {len(listed)}.")
    columns = max(len(clip.rgb) + len({0, len(clip.rgb) - 1}) for clip in listed)
    sheet = Sheet()
    bar = inferno(np.linspace(0.06, 1, 64))[::-1].copy()
    for clip in listed:
        mask = clip.depth > 0
        near_far = depth_range(clip.depth, mask)
        legend = Legend(colors=bar, low=f"{near_far[0]:.1f} m", high=f"{near_far[1]:.1f} m")
        sheet.section(f"seed {clip.seed}", "", legend)
        ends = sorted({0, len(clip.rgb) - 1})
        pictures = [*clip.rgb.numpy(), *depth_colors(clip.depth[ends], mask[ends], near_far)]
        caption = textwrap.shorten(clip.caption, _CAPTION_LENGTH, placeholder=" ...")
        sheet.tiles(pictures, [caption, *[""] * (len(pictures) - 1)], columns)
    path = Path(path)
    with whole_file(path) as temporary:
        sheet.picture().save(temporary, format="PNG")
    return path
