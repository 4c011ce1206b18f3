"""Files from strangers are told by content, bounded, looked into, and kept under names of our own."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.studio.media import HTML, PLAYLIST, SVG, archive, bomb, picture, turned_picture, video
from gen3r.apps.studio.errors import InvalidRequest, StudioError, TooLarge, WrongType
from gen3r.apps.studio.jobs import Upload
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.uploads import harmless_name, take

PLENTY = 10**9


def taken(content: bytes, folder: Path, name: str = "a.png", limits: Limits | None = None) -> tuple[Upload, str]:
    return take(io.BytesIO(content), name, folder, limits or Limits(), PLENTY)


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp")])
def test_pictures_are_known_by_content_whatever_they_are_called(kind: str, suffix: str, tmp_path: Path) -> None:
    upload, found = taken(picture(kind), tmp_path, "movie.mp4")
    assert found == suffix
    assert (upload.kind, upload.width, upload.height, upload.frames, upload.name) == (
        "image", 40, 30, 1, f"movie{suffix}",
    )  # fmt: skip
    assert (tmp_path / (upload.id + suffix)).read_bytes() == picture(kind)


def test_pictures_are_measured_upright(tmp_path: Path) -> None:
    upload, _ = taken(turned_picture(40, 30), tmp_path)
    assert (upload.width, upload.height) == (30, 40)


def test_videos_are_measured(tmp_path: Path) -> None:
    upload, suffix = taken(video(tmp_path / "v.mp4"), tmp_path / "kept", "clip.mov")
    assert suffix == ".mp4"
    assert (upload.kind, upload.width, upload.height, upload.frames) == ("video", 32, 32, 8)
    assert upload.seconds == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_each_kind_of_video_is_read_as_what_its_first_bytes_tell(suffix: str, tmp_path: Path) -> None:
    upload, found = taken(video(tmp_path / f"v{suffix}"), tmp_path / "kept")
    assert (found, upload.kind, upload.width, upload.frames) == (suffix, "video", 32, 8)


REFUSED = {
    "html": (HTML, WrongType),
    "svg": (SVG, WrongType),
    "zip": (archive(), WrongType),
    "playlist": (PLAYLIST, WrongType),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(100), WrongType),
    "gif": (b"GIF89a" + bytes(100), WrongType),
    "empty": (b"", InvalidRequest),
    "html after a PNG's first bytes": (b"\x89PNG\r\n\x1a\n" + HTML, InvalidRequest),
    "truncated picture": (picture()[:-200], InvalidRequest),
    "no video behind its first bytes": (b"\0\0\0\x18ftypmp42" + bytes(1000), InvalidRequest),
    "decompression bomb": (bomb(), TooLarge),
    "quieter bomb": (bomb(9_000), TooLarge),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    content, error = REFUSED[name]
    with pytest.raises(error) as refusal:
        taken(content, tmp_path)
    assert str(tmp_path) not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_videos_are_refused(share: float, tmp_path: Path) -> None:
    content = video(tmp_path / "v.mp4", frames=30)
    with pytest.raises(InvalidRequest, match="truncated"):
        taken(content[: int(len(content) * share)], tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_limits_hold(tmp_path: Path) -> None:
    clip = video(tmp_path / "v.mp4")
    for content, limits in (
        (picture(), Limits(upload_bytes=len(picture()) - 1)),
        (picture(), Limits(picture_pixels=1_199)),
        (clip, Limits(video_frames=7)),
        (clip, Limits(video_seconds=0.5)),
        (clip, Limits(video_pixels=1_000)),
    ):
        with pytest.raises(TooLarge):
            taken(content, tmp_path / "kept", limits=limits)
    assert list((tmp_path / "kept").iterdir()) == []


def test_no_more_is_read_than_allowed(tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        read_bytes = 0

        def read(self, size: int = -1) -> bytes:
            self.read_bytes += size
            return picture()[:8].ljust(size, b"\0")

    endless = Endless()
    with pytest.raises(TooLarge):
        take(endless, "a.png", tmp_path, Limits(upload_bytes=3_000_000), PLENTY)
    assert endless.read_bytes < 5_000_000


@given(
    content=st.binary(max_size=300), start=st.sampled_from([b"", picture()[:60], b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff"])
)
def test_junk_is_refused_in_words(content: bytes, start: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("junk")
    with pytest.raises(StudioError):
        taken(start + content, folder)
    assert list(folder.iterdir()) == []


@given(name=st.text(max_size=300))
def test_names_become_harmless(name: str) -> None:
    kept = harmless_name(name, ".png")
    assert kept.isascii()
    assert kept.endswith(".png")
    assert len(kept) <= 64
    assert not set(kept) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
    assert not kept.startswith(("-", "."))
    assert ".." not in kept


def test_names_stay_recognisable() -> None:
    assert harmless_name("../../etc/Mein Bild é.JPEG", ".jpg") == "Mein_Bild_e.jpg"
    assert harmless_name("C:\\photos\\a b.png", ".png") == "a_b.png"
    assert harmless_name("", ".mp4") == "upload.mp4"
