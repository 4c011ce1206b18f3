"""Small pictures inside the page, as data URLs: nothing has to be fetched for them."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageOps

_QUALITY = 82


def data_url(path: Path, side: int, *, video: bool = False) -> str:
    """A picture, or the first frame of a video, at most `side` pixels wide and high, upright, as a JPEG data URL.

    Raises:
        ValueError, OSError: if it cannot be read.
    """
    return _data_url(path, side, video, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _data_url(path: Path, side: int, video: bool, changed: int) -> str:
    with _first_frame(path) if video else Image.open(path) as picture:
        picture.draft("RGB", (side, side))
        small = ImageOps.exif_transpose(picture).convert("RGB")
        small.thumbnail((side, side))
        memory = io.BytesIO()
        small.save(memory, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(memory.getvalue()).decode()}"


def _first_frame(path: Path) -> Image.Image:
    from gen3r.scene.video_reader import read_video_frames

    _, pixels = next(read_video_frames(path))  # the others are never decoded
    return Image.fromarray(pixels)
