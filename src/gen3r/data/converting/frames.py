"""One frame: its files read, checked, and made into what the clip holds."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from PIL import ExifTags, Image, ImageOps

from gen3r.data.converting.raw import RawFrame
from gen3r.data.converting.warping import Warp
from gen3r.data.schema.pictures import Header, decode_rgb, encode_picture, read_header

DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    Image.DecompressionBombError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""What readers of damaged files raise."""
LARGEST_PICTURE = 256 << 20
"""Bytes of an encoded picture."""
_SIDEWAYS = (5, 6, 7, 8)


class UnreadableFrame(Exception):
    """A frame whose files are missing or damaged; the text says which and why."""


@dataclass(frozen=True, kw_only=True)
class ClipFrame:
    """What a clip holds of a frame."""

    picture: Path | bytes
    """Encoded; the file on disk if its content is kept."""
    intrinsics: Float64[np.ndarray, "3 3"]
    """Pixels, corner origin."""
    world_from_camera: Float64[np.ndarray, "4 4"]
    """In the dataset's world."""
    height: int
    """Rows in pixels."""
    width: int
    """Columns in pixels."""
    depth: Float32[np.ndarray, "H W"] | None
    """z-depth, 0 = none."""
    mask: UInt8[np.ndarray, "H W"] | None
    """0..255."""


def make_frame(frame: RawFrame, warp: Warp) -> ClipFrame:
    """Read everything of a frame, decode the picture to see that it is whole, and warp what the warp changes.

    Raises:
        UnreadableFrame: if something cannot be read, or the picture is not of the size of its camera.
    """
    where = frame.picture.name if isinstance(frame.picture, Path) else "the picture"
    content = _attempt("the picture", lambda: _content(frame.picture))
    header = _attempt("the picture", lambda: read_header(content, where))
    turned = _is_turned(frame, header, _attempt("the picture", lambda: _orientation(content)))
    picture: Path | bytes = frame.picture if isinstance(frame.picture, Path) else content
    if turned or not warp.is_idle:
        rgb = _attempt("the picture", lambda: _upright(content) if turned else decode_rgb(content, where))
        picture = encode_picture(warp.picture(rgb), "jpeg" if header.suffix == ".jpg" else "png")
    else:
        _attempt("the picture", lambda: _check_whole(content))
    return ClipFrame(
        picture=picture,
        intrinsics=warp.view.intrinsics,
        world_from_camera=warp.pose(frame.camera.world_from_camera),
        height=warp.view.height,
        width=warp.view.width,
        depth=_made("the depth", frame.depth, lambda values: warp.depth(np.asarray(values, dtype=np.float32))),
        mask=_made("the mask", frame.mask, warp.mask),
    )


def _content(picture: Path | Callable[[], bytes]) -> bytes:
    if not isinstance(picture, Path):
        return picture()
    if picture.stat().st_size > LARGEST_PICTURE:
        raise ValueError(f"it has more than {LARGEST_PICTURE >> 20} MB")
    return picture.read_bytes()


def _made(what: str, read: Callable[[], Any] | None, make: Callable[[Any], np.ndarray]) -> Any:
    return None if read is None else _attempt(what, lambda: make(read()))


def _attempt(what: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except DAMAGED as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableFrame(f"{what} cannot be read ({words:.160})") from error


def _is_turned(frame: RawFrame, header: Header, orientation: int) -> bool:
    """Whether the pixels must be turned to be what the camera is for."""
    stored, wanted = (header.height, header.width), (frame.camera.height, frame.camera.width)
    shown = stored[::-1] if orientation in _SIDEWAYS else stored
    turned = orientation != 1 and wanted == shown and (frame.upright or wanted != stored)
    if wanted != (shown if turned else stored):
        raise UnreadableFrame(f"the picture is {stored[0]}x{stored[1]}, its camera is for {wanted[0]}x{wanted[1]}")
    return turned


def _orientation(content: bytes) -> int:
    """By EXIF; 1 for what is stored upright."""
    with Image.open(io.BytesIO(content)) as picture:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _check_whole(content: bytes) -> None:
    """Decode a picture as cheaply as its type allows."""
    with Image.open(io.BytesIO(content)) as picture:
        if picture.mode.startswith(("I", "F")):
            raise ValueError(f"expected 8 bits per channel, got mode {picture.mode}")
        if picture.format == "JPEG":
            picture.draft(picture.mode, (picture.width // 8, picture.height // 8))
        picture.load()


def _upright(content: bytes) -> UInt8[np.ndarray, "H W 3"]:
    with Image.open(io.BytesIO(content)) as picture:
        return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
