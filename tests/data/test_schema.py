"""Clip folders keep a clip, appear whole or not at all, and say what is wrong with them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from data.clips import random_clip
from gen3r.data.clip import Clip
from gen3r.data.schema import DEPTH_STEPS, clip_folders, read_clip, read_record, write_clip


def written(folder: Path, clip: Clip | None = None) -> Clip:
    clip = clip or random_clip()
    write_clip(clip, folder, split="train", source="tests", licence="CC0-1.0")
    return clip


def test_round_trip(tmp_path: Path) -> None:
    clip = written(tmp_path / "clip")
    read = read_clip(tmp_path / "clip")
    assert torch.equal(read.rgb, clip.rgb)
    assert torch.equal(read.cameras.extrinsics, clip.cameras.extrinsics)
    assert torch.equal(read.cameras.intrinsics, clip.cameras.intrinsics)
    assert (read.caption, read.seed) == (clip.caption, clip.seed)
    assert torch.equal(read.depth == 0, clip.depth == 0)
    assert float((read.depth - clip.depth).abs().max()) <= float(clip.depth.max()) / DEPTH_STEPS * 0.51


def test_record_states_what_the_files_hold(tmp_path: Path) -> None:
    clip = written(tmp_path / "clip")
    record = read_record(tmp_path / "clip")
    assert (record.frames, record.height, record.width) == tuple(clip.depth.shape)
    assert (record.split, record.source, record.licence, record.scale_kind) == ("train", "tests", "CC0-1.0", "metric")
    assert record.depth_scale == pytest.approx(float(clip.depth.max()) / DEPTH_STEPS)


def test_a_clip_of_sky_alone_and_depths_near_zero_survive(tmp_path: Path) -> None:
    clip = random_clip()
    written(tmp_path / "sky", replace(clip, depth=torch.zeros_like(clip.depth)))
    assert not read_clip(tmp_path / "sky").depth.any()
    tiny = clip.depth.clone()
    tiny[0, 5, 5] = 1e-7
    written(tmp_path / "tiny", replace(clip, depth=tiny))
    assert read_clip(tmp_path / "tiny").depth[0, 5, 5] > 0


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_unusable_depth_is_refused_and_leaves_nothing(tmp_path: Path, bad: float) -> None:
    clip = random_clip()
    depth = clip.depth.clone()
    depth[1, 4, 4] = bad
    with pytest.raises(ValueError, match="finite and not negative"):
        written(tmp_path / "clip", replace(clip, depth=depth))
    assert list(tmp_path.iterdir()) == []


def test_failing_half_way_leaves_nothing(tmp_path: Path) -> None:
    beyond_utf8 = replace(random_clip(), caption="\ud800")  # the pictures are written before the caption
    with pytest.raises(UnicodeEncodeError):
        written(tmp_path / "clip", beyond_utf8)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    first = written(tmp_path / "clip")
    with pytest.raises(ValueError, match="not empty"):
        written(tmp_path / "clip", random_clip(seed=4))
    assert torch.equal(read_clip(tmp_path / "clip").rgb, first.rgb)


def edit_record(folder: Path, **changes: Any) -> None:
    path = folder / "scene.json"
    content = json.loads(path.read_text())
    for name, value in changes.items():
        if value is None:
            del content[name]
        else:
            content[name] = value
    path.write_text(json.dumps(content))


def shrink(picture: Path) -> None:
    with Image.open(picture) as image:
        smaller = image.resize((8, 8))
    smaller.save(picture)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "scene.json").unlink(), "no scene.json"),
        (lambda folder: (folder / "scene.json").write_text("{"), "not valid JSON"),
        (lambda folder: edit_record(folder, version=3), "version 3"),
        (lambda folder: edit_record(folder, format="other"), "describes no clip"),
        (lambda folder: edit_record(folder, split=None), "lacks split"),
        (lambda folder: edit_record(folder, split="test"), "split must be"),
        (lambda folder: edit_record(folder, depth_scale=0), "depth_scale must be"),
        (lambda folder: edit_record(folder, frames=4), "scene.json says"),
        (lambda folder: edit_record(folder, name="a/b"), "name must be"),
        (lambda folder: edit_record(folder, colour="red"), "unknown fields colour"),
        (lambda folder: edit_record(folder, depth_scale=None), "has no depth"),
        (lambda folder: edit_record(folder, seed=None), "has no seed"),
        (lambda folder: (folder / "captions.txt").write_bytes(b"\xff"), "not UTF-8"),
        (lambda folder: Image.new("I;16", (16, 12)).save(folder / "frames" / "frame00000.png"), "8 bits"),
        (lambda folder: (folder / "captions.txt").unlink(), "captions.txt"),
        (lambda folder: (folder / "cameras.json").unlink(), "camera"),
        (lambda folder: (folder / "frames" / "frame00001.png").unlink(), "holds 2 pictures"),
        (lambda folder: shrink(folder / "frames" / "frame00001.png"), "is 8x8"),
        (lambda folder: shrink(folder / "depth" / "frame00001.png"), "is 8x8"),
        (lambda folder: (folder / "depth" / "frame00000.png").write_bytes(b"nothing"), "no readable PNG"),
        (lambda folder: Image.new("RGB", (16, 12)).save(folder / "depth" / "frame00000.png"), "16-bit"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    folder = tmp_path / "clip"
    written(folder)
    damage(folder)
    with pytest.raises(ValueError, match=message):
        read_clip(folder)


def test_clip_folders_are_found_by_name_without_unfinished_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no clip folders"):
        clip_folders(tmp_path)
    dataset = tmp_path / "dataset"
    for name in ("b", "a", "c"):
        written(dataset / name)
    (dataset / "c").rename(dataset / ".c")
    assert [path.name for path in clip_folders(dataset)] == ["a", "b"]
    with pytest.raises(ValueError, match=f"name a dataset below: {dataset}"):
        clip_folders(tmp_path)
