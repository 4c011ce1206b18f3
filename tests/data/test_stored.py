"""Clips are written frame by frame and read lazily; version 1 is still read."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data.clips import random_clip, write_full, write_version_1, write_video
from gen3r.data.schema import ClipRecord, ClipWriter, StoredClip, read_clip
from gen3r.data.schema.video import count_video_frames, read_video_at
from gen3r.scene.video_reader import read_video_frames

FIELDS: dict[str, Any] = {"split": "train", "source": "tests", "licence": "CC0-1.0", "scale_kind": "metric"}


def test_everything_comes_back(tmp_path: Path) -> None:
    write_full(tmp_path / "clip")
    clip, drawn = StoredClip.open(tmp_path / "clip"), random_clip(3, 3, 24, 32)
    assert torch.equal(clip.cameras.extrinsics, drawn.cameras.extrinsics)
    assert clip.captions == ("noise", "coloured noise in a frame")
    assert torch.equal(clip.rgb([1])[0], drawn.rgb[1])  # the PNG; the others are lossy
    masks, depth = clip.masks(range(3)), clip.depth(range(3))
    assert masks is not None
    assert depth is not None
    assert masks.unique().tolist() == [0, 40, 80]
    assert float((depth - drawn.depth).abs().max()) <= float(drawn.depth.max()) / 65535 * 0.51
    assert (clip.record.masks, clip.record.labels, clip.record.times) == (
        "valid",
        {"category": "noise"},
        (0.0, 0.25, 0.5),
    )
    assert ClipRecord.from_json(clip.record.to_json(), "here") == clip.record


def test_frames_come_in_the_order_asked_for(tmp_path: Path) -> None:
    write_full(tmp_path / "clip")
    clip = StoredClip.open(tmp_path / "clip")
    for read in (clip.rgb, clip.depth, clip.masks):
        whole, chosen = read([0, 1, 2]), read([2, 0, 2])
        assert whole is not None
        assert chosen is not None
        assert torch.equal(chosen, whole[[2, 0, 2]])


@pytest.mark.parametrize("indices", [[], [3], [-1]])
def test_frames_that_are_not_there_are_refused(tmp_path: Path, indices: list[int]) -> None:
    write_full(tmp_path / "clip")
    with pytest.raises(ValueError, match="frames 0 to 2"):
        StoredClip.open(tmp_path / "clip").rgb(indices)


def test_what_is_not_asked_for_is_not_read(tmp_path: Path) -> None:
    write_full(tmp_path / "clip")
    (tmp_path / "clip" / "frames" / "frame00001.png").write_bytes(b"nothing")
    clip = StoredClip.open(tmp_path / "clip")
    assert clip.rgb([0, 2]).shape == (2, 24, 32, 3)
    with pytest.raises(ValueError, match=r"frame00001\.png is no readable"):
        clip.rgb([0, 1])


def test_without_depth_and_masks_there_are_none(tmp_path: Path) -> None:
    clip = random_clip()
    with ClipWriter(tmp_path / "bare", encoding="jpeg") as writer:
        for rgb in clip.rgb.numpy():
            writer.add_picture(rgb)
        writer.finish(clip.cameras, **FIELDS)
    bare = StoredClip.open(tmp_path / "bare")
    assert (bare.depth([0]), bare.masks([0]), bare.captions) == (None, None, ())
    assert sorted(path.suffix for path in (tmp_path / "bare" / "frames").iterdir()) == [".jpg"] * 3
    with pytest.raises(ValueError, match="has no depth"):
        read_clip(tmp_path / "bare")


def test_version_1_is_read(tmp_path: Path) -> None:
    write_version_1(tmp_path / "older")
    clip = read_clip(tmp_path / "older")
    assert (clip.caption, clip.seed) == ("an old caption", 5)
    assert torch.equal(clip.rgb, random_clip(5).rgb)
    assert StoredClip.open(tmp_path / "older").name == "older"


def test_encoded_pictures_are_kept_and_may_be_linked(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    Image.fromarray(random_clip().rgb[0].numpy()).save(photo)
    with ClipWriter(tmp_path / "clip") as writer:
        writer.add_picture(photo)
        writer.add_picture(photo, link=True)
        (tmp_path / "link.jpg").symlink_to(photo)
        writer.add_picture(tmp_path / "link.jpg", link=True)
        writer.finish(random_clip().cameras, **FIELDS)
    kept = sorted((tmp_path / "clip" / "frames").iterdir())
    assert {path.read_bytes() for path in kept} == {photo.read_bytes()}
    assert [os.path.samefile(path, photo) for path in kept] == [False, True, False]


def test_depth_of_a_known_step_is_exact(tmp_path: Path) -> None:
    millimetres = np.random.default_rng(0).integers(0, 65536, (12, 16)).astype(np.float32)
    with ClipWriter(tmp_path / "clip", depth_scale=0.001) as writer:
        for rgb in random_clip().rgb.numpy():
            writer.add_picture(rgb)
            writer.add_depth(millimetres * np.float32(0.001))
        writer.finish(random_clip().cameras, **FIELDS)
    depth = StoredClip.open(tmp_path / "clip").depth([2])
    assert depth is not None
    np.testing.assert_array_equal((depth[0].double() / 0.001).round().numpy(), millimetres)


def odd_size(writer: ClipWriter) -> None:
    writer.add_picture(np.zeros((5, 6, 3), np.uint8))


def write(folder: Path, fill: Any, fields: dict[str, Any]) -> None:
    with ClipWriter(folder, depth_scale=0.001) as writer:
        for rgb in random_clip().rgb.numpy():
            writer.add_picture(rgb)
        fill(writer)
        writer.finish(**fields)


@pytest.mark.parametrize(
    ("fill", "fields", "message"),
    [
        (odd_size, {}, "one size"),
        (lambda writer: writer.add_picture(b"nothing"), {}, "no readable PNG"),
        (lambda writer: writer.add_mask(np.zeros((12, 16), np.uint8)), {"masks": "valid"}, "one of each per frame"),
        (lambda writer: writer.add_mask(np.zeros((12, 16), np.uint8)), {}, "say what they mean"),
        (lambda writer: writer.add_depth(np.full((12, 16), 1e4, np.float32)), {}, "65535 steps"),
        (lambda writer: None, {"captions": ["a room"]}, "say where they come from"),
        (lambda writer: None, {"times": (0.0,)}, "one per frame"),
        (lambda writer: None, {"name": ".."}, "name must be"),
        (lambda writer: None, {"cameras": random_clip(frames=2).cameras}, "2 cameras"),
        (lambda writer: None, {"cameras": random_clip(height=10).cameras}, "10x16 pixels"),
    ],
)
def test_what_a_clip_cannot_hold_is_refused_and_leaves_nothing(
    tmp_path: Path, fill: Any, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "clip", fill, {"cameras": random_clip().cameras} | FIELDS | fields)
    assert list(tmp_path.iterdir()) == []


def test_a_clip_must_be_finished(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was not finished"), ClipWriter(tmp_path / "clip") as writer:
        writer.add_picture(random_clip().rgb[0].numpy())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "frames.mp4"
    shades = np.linspace(0, 255, 13, dtype=np.uint8)
    write_video(path, np.broadcast_to(shades[:, None, None, None], (13, 32, 48, 3)).copy())
    return path


@pytest.mark.parametrize("indices", [[0], [12], [7, 3, 7], list(range(13))])
def test_frames_of_a_video_are_those_of_reading_all(film: Path, indices: list[int]) -> None:
    every = dict(read_video_frames(film))
    read = read_video_at(film.read_bytes(), indices, "film")
    np.testing.assert_array_equal(read, np.stack([every[index] for index in indices]))
    assert count_video_frames(film.read_bytes(), "film") == 13


def test_what_is_wrong_with_a_video_is_told(film: Path) -> None:
    with pytest.raises(ValueError, match="holds 13 frames"):
        read_video_at(film.read_bytes(), [13], "film")
    with pytest.raises(ValueError, match="film is not a readable video"):
        read_video_at(b"nothing", [0], "film")


def test_a_clip_may_be_a_video(tmp_path: Path) -> None:
    write_full(tmp_path / "clip", frames=6, video=True)
    clip = StoredClip.open(tmp_path / "clip")
    assert (clip.record.frames_kind, clip.record.frames) == ("video", 6)
    assert clip.rgb([5, 1]).shape == (2, 24, 32, 3)
