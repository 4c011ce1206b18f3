"""What converters must know of pictures as they lie on disk, by reading their headers only."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import ExifTags, Image, ImageOps

from gen3r.data.schema.pictures import encode_picture
from gen3r.scene.limits import check_picture_size

PictureSource = Path | Callable[[], bytes]
"""An encoded picture: its file, or what gives its bytes."""

_DECODERS = ("PNG", "JPEG", "WEBP")
_SIDEWAYS = (5, 6, 7, 8)
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for damaged files."""


@dataclass(frozen=True, kw_only=True)
class PictureHeader:
    """A picture whose pixels were not decoded."""

    height: int
    """Rows as they are stored, before any turn that the EXIF data ask for."""
    width: int
    """Columns as they are stored."""
    orientation: int
    """EXIF: 1 is upright."""

    @classmethod
    def read(cls, file: Path | BufferedIOBase, name: str) -> PictureHeader:
        """Look at a PNG, JPEG or WebP; `ValueError` naming the picture for anything else."""
        with _opened(file, name) as picture:
            orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
            upright = orientation if orientation in range(1, 9) else 1
            return cls(height=picture.height, width=picture.width, orientation=upright)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) as stored."""
        return self.height, self.width

    @property
    def upright_size(self) -> tuple[int, int]:
        """(height, width) after the turn."""
        return (self.width, self.height) if self.orientation in _SIDEWAYS else self.size

    def upright(self, file: Path) -> PictureSource:
        """The picture as people see it: ``file`` itself, or its turned pixels as PNG where EXIF asks for a turn."""
        return partial(turned, file) if self.orientation in range(2, 9) else file


def stored_size(file: Path | BufferedIOBase, name: str) -> tuple[int, int]:
    """(height, width) by the first bytes of a picture; `ValueError` as `PictureHeader.read`."""
    with _opened(file, name) as picture:
        return picture.height, picture.width


@contextmanager
def _opened(file: Path | BufferedIOBase, name: str) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked next
            opened = Image.open(cast(Any, file), formats=_DECODERS)
        with opened as picture:
            check_picture_size("it", picture.height, picture.width)
            yield picture
    except FileNotFoundError as error:
        raise ValueError(f"{name:.160} is missing.") from error
    except _UNREADABLE as error:
        raise ValueError(f"{name:.160} is no readable PNG, JPEG or WebP ({error!s:.160}).") from error


def turned(file: Path) -> bytes:
    """The pixels of a picture turned as its EXIF data ask for, as a PNG without such data."""
    with Image.open(file, formats=_DECODERS) as picture:
        pixels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    return encode_picture(pixels)


def left_out(dropped: Sequence[str], total: int) -> tuple[str, ...]:
    """A note on frames that were dropped, each with its reason; none if there are none."""
    return (f"{len(dropped)} of {total} frames left out, the first: {dropped[0]}",) if dropped else ()
