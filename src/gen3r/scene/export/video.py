"""H.264 video that plays in every browser."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from jaxtyping import UInt8

FRAMES_PER_SECOND = 12
"""Playback rate of exported clips."""


def write_h264(path: Path, frames: Iterable[UInt8[np.ndarray, "H W 3"]], *, rate: int = FRAMES_PER_SECOND) -> None:
    """Encode sRGB frames of one size as H.264, yuv420p, BT.709, index first (faststart).

    Colour at half resolution (4:2:0) needs even sizes: odd ones repeat their last row or column.
    """
    with av.open(str(path), mode="w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options={"crf": "16", "preset": "medium"})
        stream.pix_fmt = "yuv420p"
        for index, pixels in enumerate(frames):
            pixels = _even(pixels)
            if index == 0:
                stream.height, stream.width = pixels.shape[:2]
                context = stream.codec_context
                context.colorspace = int(Colorspace.ITU709)
                context.color_primaries = int(ColorPrimaries.BT709)
                context.color_trc = int(ColorTrc.BT709)
                context.color_range = int(ColorRange.MPEG)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _even(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
    pad = ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0))
    return np.ascontiguousarray(np.pad(pixels, pad, mode="edge"))
