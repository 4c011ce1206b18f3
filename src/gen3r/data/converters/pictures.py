"""What converters must know of pictures as they lie on disk, by reading their headers only."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from gen3r.data.converting.raw import RawFrame
from gen3r.scene.limits import check_picture_size

PictureSource = Path | Callable[[], bytes]
"""An encoded picture: its file, or what gives its bytes."""

Item = TypeVar("Item")

_DECODERS = ("PNG", "JPEG", "WEBP")
_UPRIGHT = 1
_SIDEWAYS = (5, 6, 7, 8)
_DEEP_MODES = ("I", "F")


@dataclass(frozen=True, kw_only=True)
class PictureHeader:
    """A picture whose pixels were not decoded."""

    height: int
    """Rows as they are stored, before any turn that the EXIF data ask for."""
    width: int
    """Columns as they are stored."""
    orientation: int
    """EXIF: 1 is upright."""
    transparent: bool
    """Whether some of it may be see-through."""

    @classmethod
    def read(cls, file: Path | IO[bytes], name: str) -> PictureHeader:
        """Look at a PNG, JPEG or WebP.

        Raises:
            ValueError: naming the picture, for other files, damaged ones, huge ones and more than 8 bits a channel.
        """
        try:
            with Image.open(file, formats=_DECODERS) as picture:
                check_picture_size(name, picture.height, picture.width)
                if picture.mode.startswith(_DEEP_MODES):
                    raise ValueError(f"{name} has more than 8 bits a channel; expected RGB or grey with 8.")
                orientation = picture.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
                return cls(
                    height=picture.height,
                    width=picture.width,
                    orientation=orientation if orientation in range(1, 9) else _UPRIGHT,
                    transparent=picture.has_transparency_data,
                )
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"{name} is missing or no readable PNG, JPEG or WebP ({error}).") from error

    @property
    def upright_size(self) -> tuple[int, int]:
        """(height, width) after the turn."""
        return (self.width, self.height) if self.orientation in _SIDEWAYS else (self.height, self.width)

    def upright(self, source: PictureSource) -> PictureSource:
        """The picture as people see it: turned, and transparency over white. Untouched if that is how it is stored."""
        if self.orientation == _UPRIGHT and not self.transparent:
            return source
        return lambda: _plain_png(source, turn=True)

    def as_stored(self, source: PictureSource) -> PictureSource:
        """The picture as programs see it that know nothing of EXIF, such as COLMAP's; transparency over white."""
        if self.orientation == _UPRIGHT and not self.transparent:
            return source
        return lambda: _plain_png(source, turn=False)


def read_bytes(source: PictureSource) -> bytes:
    """The encoded picture."""
    return source.read_bytes() if isinstance(source, Path) else source()


def of_one_size(
    items: Sequence[Item], size: Callable[[Item], tuple[int, int]]
) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """The items of the commonest picture size, since a clip has one size, and a note on the others if there are any.

    Args:
        items: frames, or what becomes frames.
        size: (height, width) of an item's picture.
    """
    counts = Counter(map(size, items))
    if len(counts) <= 1:
        return tuple(items), ()
    (height, width), count = counts.most_common(1)[0]
    note = f"{len(items) - count} of {len(items)} frames left out: not of the size {height}x{width} (HxW)"
    return tuple(item for item in items if size(item) == (height, width)), (note,)


def camera_size(frame: RawFrame) -> tuple[int, int]:
    """(height, width) of a frame's picture, for `of_one_size`."""
    return frame.camera.height, frame.camera.width


def left_out(dropped: Sequence[str], total: int) -> tuple[str, ...]:
    """A note on frames that were dropped, each with its reason; none if there are none."""
    return (f"{len(dropped)} of {total} frames left out, the first: {dropped[0]}",) if dropped else ()


def _plain_png(source: PictureSource, *, turn: bool) -> bytes:
    with Image.open(io.BytesIO(read_bytes(source)), formats=_DECODERS) as opened:
        picture = ImageOps.exif_transpose(opened) if turn else opened
        if picture.has_transparency_data:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA"))
        encoded = io.BytesIO()
        # By way of the pixels alone: metadata would turn the picture again.
        Image.fromarray(np.asarray(picture.convert("RGB"))).save(encoded, "PNG", compress_level=1)
        return encoded.getvalue()
