"""Files to upload, good and bad, made here."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import av
import numpy as np
from PIL import Image


def picture(kind: str = "PNG", width: int = 40, height: int = 30, seed: int = 0, **options: object) -> bytes:
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **options)
    return file.getvalue()


def turned_picture(width: int = 40, height: int = 30) -> bytes:
    """A JPEG that its EXIF record turns by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture("JPEG", width, height, exif=exif)


def video(path: Path, frames: int = 8, side: int = 32, rate: int = 8) -> bytes:
    """An MP4 with its index in front, so that a cut file still opens."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            pixels = np.full((side, side, 3), index * 20 % 255, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def bomb(side: int = 30_000) -> bytes:
    """A PNG of a few hundred kilobytes at most that says it has ``side`` x ``side`` pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def archive() -> bytes:
    """A zip whose member would leave its folder."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("../../escaped.txt", "x")
    return file.getvalue()


HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
