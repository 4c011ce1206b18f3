"""One scene becomes clips: moved to its first camera, bad frames left out, cut, resumed, captioned."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.converters.fixture import check_converted, snapshot
from data.converting.known import SCENE, convert, encoded, raw_scene
from gen3r.data.converting.parts import converted_scenes
from gen3r.data.converting.raw import RawFrame, RawScene, UnusableScene
from gen3r.data.schema import StoredClip


def with_frames(scene: RawScene, **changed: RawFrame) -> RawScene:
    """``f3=frame`` puts another frame 3."""
    frames = list(scene.frames)
    for name, frame in changed.items():
        frames[int(name[1:])] = frame
    return replace(scene, frames=tuple(frames))


def test_everything_of_a_scene_is_in_the_clip(tmp_path: Path) -> None:
    made = convert(raw_scene(), tmp_path)
    check_converted(tmp_path / "one", SCENE, scale_free=False)
    assert (made.clips, made.frames, made.notes) == (("one",), 6, ())
    clip = StoredClip.open(tmp_path / "one")
    record = clip.record
    assert (record.source, record.licence, record.split, record.masks) == ("known", "CC0-1.0", "train", "foreground")
    assert record.times == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    depth, masks = clip.depth([0, 5]), clip.masks([0, 5])
    assert depth is not None
    assert masks is not None
    assert ((depth > 0) == (masks == 255)).all()


def test_worlds_kilometres_off_lose_nothing_and_keep_their_axes_and_unit(tmp_path: Path) -> None:
    far = np.eye(4)
    far[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    far[:3, 3] = [15_600_000.125, -3_000_000.5, 250.0]
    convert(raw_scene(world=far), tmp_path)
    check_converted(tmp_path / "one", SCENE, scale_free=False)
    world_from_camera = StoredClip.open(tmp_path / "one").cameras.world_from_camera[0].numpy()
    np.testing.assert_allclose(world_from_camera[:3, :3], far[:3, :3], atol=1e-6)


def test_files_that_need_no_change_are_kept_byte_by_byte_or_linked(tmp_path: Path) -> None:
    scene = raw_scene()
    files = []
    for index, frame in enumerate(scene.frames):
        assert callable(frame.picture)
        files.append(tmp_path / "raw" / f"{index}.png")
        files[-1].parent.mkdir(exist_ok=True)
        files[-1].write_bytes(frame.picture())
    outside = files[1].rename(tmp_path / "1.png")
    files[1].symlink_to(outside)
    scene = replace(scene, frames=tuple(replace(f, picture=p) for f, p in zip(scene.frames, files, strict=True)))
    convert(scene, tmp_path / "linked", link="hard", source=tmp_path / "raw")
    convert(scene, tmp_path / "copied", link="copy")
    linked, copied = (sorted((tmp_path / name / "one/frames").iterdir()) for name in ("linked", "copied"))
    for file, link, copy in zip(files, linked, copied, strict=True):
        assert os.path.samefile(file, link) == (not file.is_symlink())
        assert not os.path.samefile(file, copy)
        assert copy.read_bytes() == file.read_bytes()


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    first = convert(raw_scene(), tmp_path, max_frames=2)
    before = snapshot(tmp_path)
    assert convert(raw_scene(), tmp_path, max_frames=2) == first
    assert snapshot(tmp_path) == before


def test_long_scenes_are_cut_evenly(tmp_path: Path) -> None:
    made = convert(raw_scene(), tmp_path, max_frames=4)
    assert made.clips == ("one-part1of2", "one-part2of2")
    for name, frames in zip(made.clips, ([0, 1, 2], [3, 4, 5]), strict=True):
        check_converted(tmp_path / name, SCENE, scale_free=False, frames=frames)
    assert len(convert(raw_scene(), tmp_path / "more", max_frames=1, min_frames=1).clips) == 6


def test_a_scene_is_complete_with_its_last_part(tmp_path: Path) -> None:
    convert(raw_scene(), tmp_path, max_frames=2)
    assert converted_scenes(tmp_path)["one"] == "one-part1of3"
    first = snapshot(tmp_path / "one-part1of3")
    shutil.rmtree(tmp_path / "one-part2of3")
    assert "one" not in converted_scenes(tmp_path)
    convert(raw_scene(), tmp_path, max_frames=2)
    assert "one" in converted_scenes(tmp_path)
    assert snapshot(tmp_path / "one-part1of3") == first
    with pytest.raises(UnusableScene, match="cut with another --max-frames; delete"):
        convert(raw_scene(), tmp_path, max_frames=3)


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / ".one.partial-abcdefgh"
    left.mkdir()
    (left / "half").touch()
    convert(raw_scene(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_bad_frames_are_left_out_with_their_cameras_and_told(tmp_path: Path) -> None:
    scene = raw_scene()
    frame = scene.frames[0]
    mirrored, infinite, skewed = (frame.camera.world_from_camera.copy() for _ in range(3))
    mirrored[:3, 0] *= -1
    infinite[0, 3] = np.inf
    skewed[0, 0] += 1e-3
    bad = {
        f"f{i}": replace(scene.frames[i], camera=replace(frame.camera, world_from_camera=pose))
        for i, pose in enumerate((mirrored, infinite, skewed))
    }
    bad["f4"] = replace(scene.frames[4], picture=lambda: encoded(np.zeros((8, 8, 3), np.uint8)))
    made = convert(with_frames(scene, **bad), tmp_path)
    check_converted(tmp_path / "one", SCENE, scale_free=False, frames=[3, 5])
    assert made.notes == (
        "left out frames 0, 2: its pose is no rotation and translation",
        "left out frame 1: its camera is not finite",
        "left out frame 4: the picture is 8x8, its camera is for 48x64",
    )
    record = StoredClip.open(tmp_path / "one").record
    assert record.notes == made.notes
    assert record.times == (0.3, 0.5)


def test_of_several_sizes_the_usual_one_is_kept(tmp_path: Path) -> None:
    scene = raw_scene()
    small = replace(scene.frames[1], camera=replace(scene.frames[1].camera, height=24, width=32))
    made = convert(with_frames(scene, f1=small, f3=small), tmp_path)
    check_converted(tmp_path / "one", SCENE, scale_free=False, frames=[0, 2, 4, 5])
    assert made.notes == ("left out frames 1, 3: of 24x32 pixels where most have 48x64",)


def damaged() -> bytes:
    raise OSError("disk on fire")


def test_too_few_frames_make_no_clip(tmp_path: Path) -> None:
    with pytest.raises(UnusableScene, match="has 6 usable frames, at least 7"):
        convert(raw_scene(), tmp_path, min_frames=7)
    scene = raw_scene()
    burning = {f"f{i}": replace(scene.frames[i], picture=damaged) for i in range(5)}
    with pytest.raises(UnusableScene, match=r"only 1 of 6 frames can be read; left out frames 0, 1.*disk on fire"):
        convert(with_frames(scene, **burning), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_depth_is_no_depth_and_missing_masks_drop_the_others(tmp_path: Path) -> None:
    scene = raw_scene()
    made = convert(with_frames(scene, f2=replace(scene.frames[2], depth=None, mask=None)), tmp_path)
    clip = StoredClip.open(tmp_path / "one")
    depth = clip.depth(range(6))
    assert depth is not None
    assert [bool(picture.any()) for picture in depth] == [True, True, False, True, True, True]
    assert clip.masks([0]) is None
    assert made.notes == ("masks left out: 1 of 6 frames have none",)


@pytest.mark.parametrize(
    ("prompts", "own", "expected"),
    [
        ({"one": ("A user's.",)}, ("Its own.",), ("A user's.", "given")),
        ({"two": ("Another's.",)}, ("Its own.",), ("Its own.", "model")),
        ({}, (), ("dots", "template")),
    ],
)
def test_captions_are_the_users_then_the_datasets_then_made_of_labels(
    tmp_path: Path, prompts: dict, own: tuple, expected: tuple
) -> None:
    scene = raw_scene(captions=own, caption_kind="model" if own else "none")
    convert(scene, tmp_path, prompts)
    clip = StoredClip.open(tmp_path / "one")
    assert expected[0] in clip.captions[0]
    assert clip.record.caption_kind == expected[1]


def test_without_labels_the_file_of_captions_is_there_and_empty(tmp_path: Path) -> None:
    convert(raw_scene(labels={}), tmp_path)
    assert (tmp_path / "one/captions.txt").read_text() == ""
    assert StoredClip.open(tmp_path / "one").record.caption_kind == "none"


def test_pictures_that_exif_turns_are_turned_if_the_camera_is_for_that(tmp_path: Path) -> None:
    scene = raw_scene()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    frames = []
    for index, frame in enumerate(scene.frames):
        stored = np.rot90(SCENE.draw(index, SCENE.pixels(index)))
        picture = encoded(np.ascontiguousarray(stored), "JPEG", quality=95, subsampling=0, exif=exif)
        frames.append(replace(frame, picture=lambda content=picture: content, upright=True))
    convert(replace(scene, frames=tuple(frames)), tmp_path)
    check_converted(tmp_path / "one", SCENE, scale_free=False)
