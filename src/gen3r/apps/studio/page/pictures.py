"""Small pictures inside the page, as data URLs: nothing has to be fetched for them."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path

from PIL import Image

_QUALITY = 82


def data_url(path: Path, side: int) -> str:
    """A picture, or the middle frame of a video, at most `side` pixels wide and high, as a JPEG data URL.

    Raises:
        OSError: if it cannot be read.
    """
    return _data_url(path, side, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _data_url(path: Path, side: int, changed: int) -> str:
    with _opened(path) as picture:
        small = picture.convert("RGB")
        small.thumbnail((side, side))
        memory = io.BytesIO()
        small.save(memory, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(memory.getvalue()).decode()}"


def _opened(path: Path) -> Image.Image:
    if path.suffix != ".mp4":
        return Image.open(path)
    import av

    with av.open(str(path)) as video:
        frames = [frame.to_image() for frame in video.decode(video=0)]
    return frames[len(frames) // 2]
