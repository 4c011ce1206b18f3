"""Taking in files from strangers: bounded while they come, told by content, looked into before they are kept."""

from __future__ import annotations

import re
import threading
import time
import unicodedata
import uuid
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import av
from PIL import Image

from gen3r.apps.studio.errors import InvalidRequest, TooLarge, WrongType
from gen3r.apps.studio.jobs import Upload
from gen3r.apps.studio.limits import Limits
from gen3r.scene.images import read_image
from gen3r.scene.video_reader import read_video_frames

CHUNK = 1 << 20
_HEAD = 16
_ADVICE = "send a PNG, JPEG or WebP picture, or an MP4, MOV, MKV, WebM or AVI video"
_decoding = threading.Lock()
"""One file is decoded at a time: large pictures take much memory."""


@runtime_checkable
class Readable(Protocol):
    """A file, or anything else that bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` more bytes; none at the end."""
        ...


@dataclass(frozen=True, kw_only=True)
class FileType:
    """What the first bytes of a file tell."""

    kind: Literal["image", "video"]
    suffix: str
    start: bytes
    at_8: tuple[bytes, ...] = (b"",)
    """What bytes 8 to 12 may be."""
    at_4: bytes = b""
    container: str | None = None
    """What FFmpeg calls it: no other format is tried, such as a playlist that names other files."""

    def fits(self, head: bytes) -> bool:
        """Whether a file that begins so may be of this type."""
        return head.startswith(self.start) and head[4:].startswith(self.at_4) and head[8:].startswith(self.at_8)


_STILLS = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis", b"crx ")
FILE_TYPES = (
    FileType(kind="image", suffix=".png", start=b"\x89PNG\r\n\x1a\n"),
    FileType(kind="image", suffix=".jpg", start=b"\xff\xd8\xff"),
    FileType(kind="image", suffix=".webp", start=b"RIFF", at_8=(b"WEBP",)),
    FileType(kind="video", suffix=".mp4", start=b"", at_4=b"ftyp", container="mov"),
    FileType(kind="video", suffix=".mkv", start=b"\x1aE\xdf\xa3", container="matroska"),
    FileType(kind="video", suffix=".avi", start=b"RIFF", at_8=(b"AVI ",), container="avi"),
)


def file_type(head: bytes) -> FileType:
    """The type of a file by its first 16 bytes.

    Raises:
        WrongType: if it is none that is read here.
    """
    found = [item for item in FILE_TYPES if item.fits(head)]
    if not found or (head[4:8] == b"ftyp" and head[8:12] in _STILLS):
        raise WrongType("the file is no picture or video of a type that is read here", _ADVICE)
    return found[0]


def take(file: Readable, name: str, folder: Path, limits: Limits, room: int) -> tuple[Upload, str]:
    """Copy a stream into ``folder`` under a random name and look into it.

    Args:
        file: read in pieces, and no further than the limits go.
        name: what the client calls it; never used as a path.
        folder: where to keep it, made if it is not there.
        limits: of the studio.
        room: bytes that the session may still keep.

    Returns:
        The record, and the suffix of the file ``<id><suffix>``.

    Raises:
        TooLarge: more bytes, pixels, frames or seconds than allowed.
        WrongType: another type, by content.
        InvalidRequest: empty, truncated or damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    most = min(limits.upload_bytes, room)
    upload = uuid.uuid4().hex
    arriving = folder / f".{upload}.partial"
    try:
        size = _copy(file, arriving, most)
        with arriving.open("rb") as copy:
            kind = file_type(copy.read(_HEAD))
        with _decoding:
            width, height, frames, seconds = _INSPECTORS[kind.kind](arriving, limits, kind.container)
        arriving.rename(folder / (upload + kind.suffix))
    finally:
        arriving.unlink(missing_ok=True)
    record = Upload(
        id=upload,
        kind=kind.kind,
        name=harmless_name(name, kind.suffix),
        width=width,
        height=height,
        frames=frames,
        seconds=seconds,
        bytes=size,
        created=time.time(),
    )
    return record, kind.suffix


def harmless_name(name: str, suffix: str) -> str:
    """A client's file name for people to recognise: its last part, in plain letters, with the right suffix."""
    last = re.split(r"[/\\]", name.replace("\0", ""))[-1]
    stem = last.rpartition(".")[0] or last
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")[:60]
    return (stem or "upload") + suffix


def _copy(file: Readable, target: Path, most: int) -> int:
    size = 0
    with target.open("wb") as out:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if size > most:
                raise TooLarge(f"the file is larger than {most / 1e6:,.1f} MB", "send a smaller one")
            out.write(chunk)
    if size == 0:
        raise InvalidRequest("the file is empty", "choose another one")
    return size


def _inspect_image(path: Path, limits: Limits, _: str | None) -> tuple[int, int, int, float]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as header:
                width, height = header.size
    except Image.DecompressionBombError as error:
        raise TooLarge("the picture has too many pixels", "make it smaller first") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidRequest("the picture is damaged from its first bytes on", "get a fresh copy") from error
    if width * height > limits.picture_pixels:
        raise TooLarge(
            f"the picture has {width}x{height} pixels, more than {limits.picture_pixels / 1e6:.0f} million",
            "make it smaller first",
        )
    try:
        upright = read_image(path)
    except ValueError as error:
        raise InvalidRequest("the picture is truncated or damaged", "get a fresh copy") from error
    return upright.shape[2], upright.shape[1], 1, 0.0


def _inspect_video(path: Path, limits: Limits, format: str | None) -> tuple[int, int, int, float]:
    try:
        options = {"protocol_whitelist": "file"}
        with path.open("rb") as file, av.open(file, mode="r", format=format, options=options) as container:
            if not container.streams.video:
                raise WrongType("the file holds no video stream", _ADVICE)
            stream = container.streams.video[0]
            _check_frame(stream.codec_context.width, stream.codec_context.height, limits)
            told = float(container.duration or 0) / av.time_base
            _check_length(told, stream.frames, limits)
            frames, seconds = 0, told
            for packet in container.demux(stream):
                if packet.size:
                    frames += 1
                    if packet.pts is not None and packet.time_base is not None:
                        seconds = max(seconds, float(packet.pts * packet.time_base))
                    _check_length(seconds, frames, limits)
            if frames < stream.frames:
                raise InvalidRequest(
                    f"the video is truncated: {frames} of its {stream.frames} frames are there", "get a fresh copy"
                )
    except av.FFmpegError as error:
        raise InvalidRequest("the video is truncated or damaged", "get a fresh copy") from error
    try:
        _, first = next(read_video_frames(path))
    except ValueError as error:
        raise InvalidRequest("the video is truncated or damaged", "get a fresh copy") from error
    height, width = first.shape[:2]
    _check_frame(width, height, limits)
    return width, height, frames, seconds


def _check_frame(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.video_pixels:
        raise TooLarge(
            f"the video has frames of {width}x{height} pixels, more than {limits.video_pixels / 1e6:.1f} million",
            "make it smaller first",
        )


def _check_length(seconds: float, frames: int, limits: Limits) -> None:
    if seconds > limits.video_seconds or frames > limits.video_frames:
        raise TooLarge(
            f"the video is longer than {limits.video_seconds:g} s or {limits.video_frames} frames", "cut it first"
        )


_INSPECTORS = {"image": _inspect_image, "video": _inspect_video}
