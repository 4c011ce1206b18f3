"""Small files of datasets: what is damaged is told, and the rest is read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen3r.data.converters.side_files import (
    brief,
    is_rigid,
    numbered_pictures,
    plain_name,
    read_bounded,
    read_grey,
    read_grey16,
    read_json,
    read_numbers,
)
from gen3r.data.converting.raw import UnusableScene


def test_rows_of_numbers_are_found_by_their_first(tmp_path: Path) -> None:
    path = tmp_path / "poses.txt"
    path.write_text("frame a b\n7 1e-3 2\n\n3 4 5\n7 8 9\n1.5 1 1\n4 1\n5 1 inf\n6 x 1\n")
    table = read_numbers(path, 2, header=True)
    assert {frame: row.tolist() for frame, row in table.rows.items()} == {7: [0.001, 2.0], 3: [4.0, 5.0]}
    assert table.notes == ("poses.txt: damaged lines 6, 7, 8, 9",)
    path.write_bytes(b"\xff\xfe\x00")
    for unreadable in (path, tmp_path / "none.txt"):
        with pytest.raises(UnusableScene, match=unreadable.name):
            read_numbers(unreadable, 2)


def test_pictures_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("rgb_10.jpg", "rgb_9.JPG", "x2.png", "notes.txt", "cover.png", ".rgb_1.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in numbered_pictures(tmp_path).values()] == ["x2.png", "rgb_9.JPG", "rgb_10.jpg"]
    assert numbered_pictures(tmp_path / "none") == {}


def test_grey_pictures_keep_their_numbers_and_others_are_refused(tmp_path: Path) -> None:
    deep = np.array([[0, 1], [40_000, 65_535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_grey16(tmp_path / "deep.png"), deep)
    bits = np.array([[True, False], [False, True]])
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_grey(tmp_path / "bits.png"), np.where(bits, 255, 0))
    with pytest.raises(ValueError, match=r"bits\.png"):
        read_grey16(tmp_path / "bits.png")
    with pytest.raises(ValueError, match=r"deep\.png"):
        read_grey(tmp_path / "deep.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "deep.png").read_bytes()[:40])
    with pytest.raises(ValueError, match=r"cut\.png"):
        read_grey16(tmp_path / "cut.png")


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "bomb.png").write_bytes(png)
    for read in (read_grey, read_grey16):
        with pytest.raises(ValueError, match=r"bomb\.png"):
            read(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match="a list holds more than 1 MB"):
        read_bounded(io.BytesIO(bytes((1 << 20) + 1)), "a list", 1 << 20)
    assert len(read_bounded(io.BytesIO(bytes(1 << 20)), "a list", 1 << 20)) == 1 << 20
    with (tmp_path / "sparse.json").open("wb") as file:
        file.truncate((256 << 20) + 1)
    with pytest.raises(UnusableScene, match=r"sparse\.json.*more than 256 MB"):
        read_json(tmp_path / "sparse.json")


def test_a_pose_is_a_rotation_and_a_translation() -> None:
    good = np.eye(4)
    good[:3, 3] = 1e5
    assert is_rigid(good)
    for row, column, value in ((0, 0, -1.0), (0, 0, 1.001), (1, 2, 0.01), (0, 3, np.nan), (2, 2, 1e300)):
        bad = good.copy()
        bad[row, column] = value
        assert not is_rigid(bad)


def test_names_hold_only_what_names_may() -> None:
    assert plain_name("remote control", "scene/1") == "remote-control-scene-1"
    assert plain_name("..") == "scene"
    assert brief(range(7)) == "0, 1, 2, 3, 4 and 2 more"
