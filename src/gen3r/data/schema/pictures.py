"""The pictures of a clip from and to bytes: 8-bit colour, 16-bit depth, 8-bit masks.

Pixels are taken as they are stored: cameras refer to this grid, so an EXIF orientation is not applied.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image, UnidentifiedImageError

from gen3r.scene.limits import check_picture_size

Encoding = Literal["png", "jpeg"]
Result = TypeVar("Result")
JPEG_QUALITY = 95
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
"""By the name Pillow has for the format."""

_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, struct.error, zlib.error)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the first bytes of a picture say."""

    height: int
    """Rows in pixels."""
    width: int
    """Columns in pixels."""
    suffix: str
    """Of the file name, by the content."""


def read_header(content: bytes, where: str) -> Header:
    """Size and type of a picture, without decoding it.

    Raises:
        ValueError: naming ``where``, for anything but PNG, JPEG and WebP of at most 100 million pixels.
    """
    return _opened(
        content,
        where,
        lambda picture: Header(height=picture.height, width=picture.width, suffix=SUFFIXES[picture.format or "PNG"]),
    )


def decode_rgb(content: bytes, where: str) -> UInt8[np.ndarray, "H W 3"]:
    """Decode a frame, transparency over white.

    Raises:
        ValueError: naming ``where``, for what is no PNG, JPEG or WebP, damaged, or has 16 bits.
    """
    return _opened(content, where, lambda picture: _rgb(picture, where))


def decode_depth(content: bytes, where: str) -> UInt16[np.ndarray, "H W"]:
    """Decode a depth picture into its steps.

    Raises:
        ValueError: naming ``where``, for anything but a 16-bit grey PNG.
    """
    return _opened(content, where, lambda picture: _steps(picture, where))


def decode_mask(content: bytes, where: str) -> UInt8[np.ndarray, "H W"]:
    """Decode a mask.

    Raises:
        ValueError: naming ``where``, for anything but an 8-bit grey or 1-bit picture.
    """
    return _opened(content, where, lambda picture: _grey(picture, where))


def encode_picture(
    pixels: UInt8[np.ndarray, "H W 3"] | UInt8[np.ndarray, "H W"] | UInt16[np.ndarray, "H W"],
    encoding: Encoding = "png",
) -> bytes:
    """A colour picture, mask or depth picture as PNG, or a colour picture as JPEG without colour subsampling."""
    stream = io.BytesIO()
    if encoding == "jpeg":
        Image.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    else:
        Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _opened(content: bytes, where: str, look: Callable[[Image.Image], Result]) -> Result:
    try:
        with warnings.catch_warnings():
            # Pillow warns somewhat below our own limit, which is checked next.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=tuple(SUFFIXES))
    except Image.DecompressionBombError as error:
        raise ValueError(f"{where} has too many pixels to be opened safely: {error}.") from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{where} is no readable PNG, JPEG or WebP; get a fresh copy or convert it.") from error
    except _DAMAGED as error:
        raise ValueError(f"{where} is truncated or damaged ({error}); get a fresh copy.") from error
    with picture:
        check_picture_size(where, picture.height, picture.width)
        return look(picture)


def _loaded(picture: Image.Image, where: str) -> Image.Image:
    try:
        picture.load()
    except _DAMAGED as error:
        raise ValueError(f"{where} is truncated or damaged ({error}); get a fresh copy.") from error
    return picture


def _rgb(picture: Image.Image, where: str) -> UInt8[np.ndarray, "H W 3"]:
    if picture.mode.startswith(("I", "F")):
        raise ValueError(f"{where} must have 8 bits per channel, got mode {picture.mode}.")
    _loaded(picture, where)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return np.array(picture.convert("RGB"))


def _steps(picture: Image.Image, where: str) -> UInt16[np.ndarray, "H W"]:
    if picture.format != "PNG" or not picture.mode.startswith("I"):
        raise ValueError(f"{where} must be a 16-bit grey PNG, got {picture.format} of mode {picture.mode}.")
    return np.array(_loaded(picture, where)).astype(np.uint16)


def _grey(picture: Image.Image, where: str) -> UInt8[np.ndarray, "H W"]:
    if picture.mode not in ("L", "1"):
        raise ValueError(f"{where} must be an 8-bit grey picture, got mode {picture.mode}.")
    return np.array(_loaded(picture, where).convert("L"))
