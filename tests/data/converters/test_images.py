"""Folders of pictures: cameras by an estimator, pictures upright, one size, one scene per folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.converters.fixture import DrawnScene, check_converted, make_scene, snapshot
from data.converters.raw_transforms import write_pictures
from data.converters.true_poses import knowing
from data.converters.whole_dataset import convert
from gen3r.data.converters.images import CONVERTER
from gen3r.data.converting.raw import ConvertOptions

SCENE = make_scene(frames=5, width=64, height=48)
JPEG = {"quality": 95, "subsampling": 0}


def write(folder: Path, scene: DrawnScene = SCENE) -> Path:
    write_pictures(folder, scene, [f"IMG_{frame + 8}.JPG" for frame in range(scene.frames)], **JPEG)
    return folder


def turn(picture: Path, orientation: int, by: Image.Transpose) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(picture).transpose(by).save(picture, exif=exif, **JPEG)


def test_dots_are_where_the_estimated_cameras_say(tmp_path: Path) -> None:
    before = snapshot(write(tmp_path / "raw"))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", **knowing(tmp_path, SCENE))
    check_converted(made.clips["raw"], SCENE, scale_free=True)
    with pytest.raises(AssertionError):
        check_converted(made.clips["raw"], SCENE, scale_free=True, inverted=True)
    assert made.record("raw")["scale_kind"] == "unknown"
    assert snapshot(tmp_path / "raw") == before
    stored = (made.clips["raw"] / "frames" / "frame00000.jpg").read_bytes()
    assert stored == (tmp_path / "raw" / "IMG_8.JPG").read_bytes()


def test_pictures_come_out_as_people_see_them(tmp_path: Path) -> None:
    folder = write(tmp_path / "raw")
    turn(folder / "IMG_9.JPG", 6, Image.Transpose.ROTATE_90)
    turn(folder / "IMG_10.JPG", 3, Image.Transpose.ROTATE_180)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", **knowing(tmp_path, SCENE))
    check_converted(made.clips["raw"], SCENE, scale_free=True)


def test_pictures_without_a_place_are_left_out_and_told(tmp_path: Path) -> None:
    write(tmp_path / "raw")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", **knowing(tmp_path, SCENE, lost=[1, 3]))
    check_converted(made.clips["raw"], SCENE, scale_free=True, frames=[0, 2, 4])
    assert any("2 of 5" in note for note in made.record("raw")["notes"])
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "none", **knowing(tmp_path, SCENE, lost=[1, 2, 3, 4]))
    assert "1 of 5" in made.refused["raw"]


def test_folders_are_scenes_and_odd_pictures_are_told(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write(raw / "garden")
    write(raw / "Living room")
    write_pictures(raw / "single", make_scene(frames=2, width=64, height=48), ["a.jpg", "b.jpg"])
    (raw / "single" / "b.jpg").unlink()
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(raw / "garden" / "IMG_99.JPG")
    (raw / "garden" / "IMG_98.JPG").write_bytes(b"\xff\xd8 and nothing more")
    made = convert(CONVERTER, raw, tmp_path / "clips", **knowing(tmp_path, SCENE))
    assert sorted(made.clips) == ["Living_room", "garden"]
    check_converted(made.clips["garden"], SCENE, scale_free=True)
    assert len(made.record("garden")["notes"]) == 2
    assert [problem.place for problem in made.findings.problems] == ["single"]


def test_what_is_converted_already_is_refused(tmp_path: Path) -> None:
    convert(CONVERTER, write(tmp_path / "raw"), tmp_path / "all" / "clips", **knowing(tmp_path, SCENE))
    clip = tmp_path / "all" / "clips" / "raw"
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "train-index.jsonl").write_text('{"format": "gen3r-shards", "version": 1, "shards": []}')
    options = ConvertOptions(poses=lambda pictures: ())
    for place in (tmp_path / "all", clip.parent, clip, clip / "frames", tmp_path / "packed"):
        with pytest.raises(ValueError, match="is converted already"):
            CONVERTER.find(place, options)


def test_without_an_estimator_both_are_named(tmp_path: Path) -> None:
    write(tmp_path / "raw")
    with pytest.raises(ValueError, match=r"--poses vggt.*--poses pycolmap"):
        CONVERTER.find(tmp_path / "raw", ConvertOptions())


@pytest.mark.parametrize(("made", "told"), [("folder", "no picture"), ("file", "video")])
def test_other_things_are_refused(tmp_path: Path, made: str, told: str) -> None:
    options = ConvertOptions(poses=lambda pictures: ())
    place = tmp_path / "thing.mp4"
    place.mkdir() if made == "folder" else place.write_bytes(b"")
    with pytest.raises(ValueError, match=told):
        CONVERTER.find(place, options)
