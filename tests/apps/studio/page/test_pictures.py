"""Views are shown by what they are, not by what they are called, upright, and without decoding all of a video."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is missing; pip install 'gen3r[studio]'")

from apps.studio.media import picture, turned_picture
from apps.studio.page.asking_page import AskedPage
from gen3r.apps.studio.page.pictures import data_url
from gen3r.apps.studio.service import Studio
from gen3r.scene.video_reader import read_video_frames

CODECS = {"mp4": "libx264", "mov": "libx264", "webm": "libvpx-vp9", "matroska": "libx264", "avi": "mpeg4"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AskedPage]:
    studio = Studio(tmp_path_factory.mktemp("studio"), models=["tiny"], workers=0)
    yield AskedPage(studio)
    studio.close()


def clip(container: str, frames: int = 4, side: int = 32) -> bytes:
    """A video of grey frames that get lighter."""
    memory = io.BytesIO()
    with av.open(memory, "w", format=container) as out:
        stream = out.add_stream(CODECS[container], rate=8)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            pixels = np.full((side, side, 3), index * 60 % 240, dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
    return memory.getvalue()


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("photo", None),
        ("PHOTO.JPG", None),
        ("photo.mp4", None),
        ("clip.webm", "webm"),
        ("CLIP.MP4", "mp4"),
        ("clip.avi", "avi"),
        ("clip.mov", "mov"),
        ("clip.mkv", "matroska"),
        ("clip.png", "mp4"),
    ],
)
def test_a_view_is_told_by_its_content(name: str, container: str | None, page: AskedPage) -> None:
    path = page.upload(name, picture("JPEG") if container is None else clip(container))
    _, strip, problems = page.add(path)
    assert problems == ""
    assert "data:image/jpeg;base64," in strip
    assert ("4 frames" in strip) == (container is not None)


def test_what_is_no_view_is_refused_kindly(page: AskedPage) -> None:
    _, strip, problems = page.add(page.upload("notes.txt", b"no picture at all"))
    assert "notes" not in strip
    assert "notes.txt cannot be used" in problems


def test_phone_photos_stand_upright(page: AskedPage, tmp_path: Path) -> None:
    (tmp_path / "turned.jpg").write_bytes(turned_picture(40, 30))
    shown = data_url(tmp_path / "turned.jpg", 200).partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(shown))).size == (30, 40)
    _, strip, _ = page.add(page.upload("turned.jpg", turned_picture(40, 30)))
    assert "30 × 40" in strip


def test_only_the_beginning_of_a_video_is_decoded(tmp_path: Path) -> None:
    content = bytearray(clip("mp4", frames=120))
    with av.open(io.BytesIO(content)) as whole:
        late = next(packet.pos for index, packet in enumerate(whole.demux(video=0)) if index == 80)
    assert late is not None
    end = content.rindex(b"moov") - 4
    content[late:end] = bytes(end - late)  # whoever decodes as far as this fails
    (tmp_path / "long.mp4").write_bytes(content)
    assert data_url(tmp_path / "long.mp4", 64, video=True).startswith("data:image/jpeg")
    with pytest.raises(ValueError, match=r"damaged|truncated"):
        list(read_video_frames(tmp_path / "long.mp4"))
