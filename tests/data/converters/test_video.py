"""Videos: frames at a rate, in order, upright, decoded again when they are asked for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from data.converters.fixture import DrawnScene, check_converted, make_scene, snapshot
from data.converters.true_poses import knowing
from data.converters.whole_dataset import convert
from gen3r.data.converters.video import CONVERTER
from gen3r.data.converting.raw import ConvertOptions
from gen3r.scene.video_reader import count_frames, read_timed_frames

RATE = 10
SCENE = make_scene(frames=6, width=64, height=48)


def write(path: Path, scene: DrawnScene = SCENE, *, repeat: int = 1) -> Path:
    """A lossless video in which every frame of the scene is shown ``repeat`` times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "bgr0"
        for index in range(scene.frames * repeat):
            pixels = scene.draw(index // repeat, scene.pixels(index // repeat))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_dots_are_where_the_estimated_cameras_say(tmp_path: Path) -> None:
    before = snapshot(write(tmp_path / "raw" / "walk.mkv").parent)
    for place, name in ((tmp_path / "raw", "walk"), (tmp_path / "raw" / "walk.mkv", "walk")):
        made = convert(CONVERTER, place, tmp_path / place.name / "clips", **knowing(tmp_path, SCENE))
        check_converted(made.clips[name], SCENE, scale_free=True)
        with pytest.raises(AssertionError):
            check_converted(made.clips[name], SCENE, scale_free=True, inverted=True)
        assert np.allclose(made.record(name)["times"], np.arange(6) / RATE)
    assert {name for name in snapshot(tmp_path / "raw") if "clips" not in name} == set(before)


def test_a_rate_takes_some_of_the_frames(tmp_path: Path) -> None:
    file = write(tmp_path / "raw" / "walk.mkv", repeat=2)
    settings = knowing(tmp_path, SCENE) | {"rate": RATE / 2}
    made = convert(CONVERTER, file, tmp_path / "clips", **settings)
    check_converted(made.clips["walk"], SCENE, scale_free=True)
    (found,) = made.findings.scenes
    assert found.frames == 6
    times = [time for time, _ in read_timed_frames(file, rate=3.0)]
    assert times == pytest.approx([0, 0.4, 0.7, 1.0])
    assert [count_frames(file), count_frames(file, rate=3.0)] == [12, 4]


def test_frames_without_a_place_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "walk.mkv")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", **knowing(tmp_path, SCENE, lost=[0, 3]))
    check_converted(made.clips["walk"], SCENE, scale_free=True, frames=[1, 2, 4, 5])


def test_a_long_video_is_cut_into_parts(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "walk.mkv")
    settings = knowing(tmp_path, SCENE) | {"max_frames": 3}
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", **settings)
    check_converted(made.clips["walk-part1of2"], SCENE, scale_free=True, frames=[0, 1, 2])
    check_converted(made.clips["walk-part2of2"], SCENE, scale_free=True, frames=[3, 4, 5])


def test_damaged_videos_are_told_and_the_others_converted(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "day" / "walk.mkv")
    (tmp_path / "raw" / "noise.mp4").write_bytes(b"no video")
    (tmp_path / "raw" / "notes.txt").write_text("of the day")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", **knowing(tmp_path, SCENE))
    assert list(made.clips) == ["day-walk"]
    assert [problem.place for problem in made.findings.problems] == ["noise.mp4"]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--poses vggt.*--poses pycolmap"):
        CONVERTER.find(write(tmp_path / "walk.mkv"), ConvertOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no video"):
        CONVERTER.find(tmp_path / "empty", ConvertOptions(poses=lambda pictures: ()))
    with pytest.raises(ValueError, match="positive"):
        next(read_timed_frames(tmp_path / "walk.mkv", rate=-1.0))
