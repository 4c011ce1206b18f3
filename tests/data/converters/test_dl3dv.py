"""DL3DV-10K: intrinsics of another size, distortion, OpenGL axes, zips, and the benchmark kept out of training."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.converters.fixture import check_converted, make_scene, snapshot
from data.converters.raw_dl3dv import FULL_SIZE, scene_hash, write_benchmark_list, write_dl3dv, zipped
from data.converters.whole_dataset import convert
from gen3r.data.converters.dl3dv import CONVERTER
from gen3r.data.converting.raw import ConvertOptions

SCENE = make_scene(frames=6, width=64, height=36)
SMALL = make_scene(frames=3, width=64, height=36)
ANYTHING = ConvertOptions(without_benchmark_list=True)
LENS = {"k1": -0.05, "k2": 0.02, "p1": 0.003, "p2": -0.002}


def test_dots_are_where_the_undistorted_cameras_say(tmp_path: Path) -> None:
    write_dl3dv(tmp_path / "raw", SCENE, lens=LENS)
    before = snapshot(tmp_path / "raw")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", without_benchmark_list=True)
    check_converted(made.clips[scene_hash(0)], SCENE, scale_free=True)
    record = made.record(scene_hash(0))
    assert (record["source"], record["scale_kind"], record["split"]) == ("dl3dv", "unknown", "train")
    assert snapshot(tmp_path / "raw") == before


@pytest.mark.parametrize("inner", [True, False], ids=["folder in zip", "flat zip"])
def test_a_zip_gives_the_clip_of_its_folder(tmp_path: Path, inner: bool) -> None:
    folder = write_dl3dv(tmp_path / "raw", SMALL)
    one = convert(CONVERTER, tmp_path / "raw", tmp_path / "one", without_benchmark_list=True)
    (found,) = CONVERTER.find(tmp_path / "raw", ANYTHING).scenes
    zipped(folder, inner=inner)
    two = convert(CONVERTER, tmp_path / "raw", tmp_path / "two", without_benchmark_list=True)
    contents = [
        {name: content for name, (_, content) in snapshot(clip).items()}
        for clip in (one.clips[scene_hash(0)], two.clips[scene_hash(0)])
    ]
    assert contents[0] == contents[1]
    (in_zip,) = CONVERTER.find(tmp_path / "raw", ANYTHING).scenes
    assert (in_zip.frames, in_zip.size) == (found.frames, found.size)


def test_focal_lengths_follow_the_pictures_exactly(tmp_path: Path) -> None:
    write_dl3dv(tmp_path, SCENE)
    (found,) = CONVERTER.find(tmp_path, ANYTHING).scenes
    frame = CONVERTER.read(tmp_path, found, ConvertOptions()).frames[0]
    assert FULL_SIZE != 1
    assert np.array_equal(frame.camera.intrinsics, SCENE.intrinsics)
    assert frame.camera.lens is None
    assert (frame.camera.height, frame.camera.width) == (36, 64)


@pytest.mark.parametrize(
    "mistake", [{"inverted": True}, {"flip": np.diag([1.0, -1, -1, 1])}, {"flip": np.diag([-1.0, -1, 1, 1])}], ids=str
)
def test_wrong_poses_are_noticed(tmp_path: Path, mistake: dict) -> None:
    write_dl3dv(tmp_path / "raw", SCENE)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", without_benchmark_list=True)
    with pytest.raises(AssertionError):
        check_converted(made.clips[scene_hash(0)], SCENE, scale_free=True, **mistake)


def test_a_lens_that_is_not_said_is_noticed(tmp_path: Path) -> None:
    write_dl3dv(tmp_path / "raw", SCENE, lens={"k1": -0.2}, camera_model="OPENCV", k1=0.0)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", without_benchmark_list=True)
    with pytest.raises(AssertionError):
        check_converted(made.clips[scene_hash(0)], SCENE, scale_free=True)


def test_portraits_are_kept_and_the_fullest_folder_is_read(tmp_path: Path) -> None:
    upright = make_scene(frames=5, width=36, height=64, focal=50)
    folder = write_dl3dv(tmp_path / "raw", upright, images="images_4")
    (folder / "images_8").mkdir()
    (folder / "images_8" / "frame_00001.png").write_bytes(b"the download stopped here")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", without_benchmark_list=True)
    check_converted(made.clips[scene_hash(0)], upright, scale_free=True)


def test_missing_and_damaged_pictures_are_dropped_with_their_cameras(tmp_path: Path) -> None:
    folder = write_dl3dv(tmp_path / "raw", SCENE)
    (folder / "images_8" / "frame_00002.png").unlink()
    (folder / "images_8" / "frame_00006.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", without_benchmark_list=True)
    check_converted(made.clips[scene_hash(0)], SCENE, scale_free=True, frames=[0, 2, 3, 4])
    assert any("2 of 6 frames" in note for note in made.record(scene_hash(0))["notes"])


@pytest.mark.parametrize("at", [2, -300], ids=["header", "pixels"])
def test_a_damaged_member_of_a_zip_costs_its_frame_alone(tmp_path: Path, at: int) -> None:
    folder = write_dl3dv(tmp_path / "raw", SMALL, images="images_4")
    noise = np.random.default_rng(0).integers(0, 255, (SMALL.height, SMALL.width, 3), np.uint8)
    Image.fromarray(noise).save(folder / "images_4" / "frame_00002.png")
    archive = zipped(folder, inner=False)
    with zipfile.ZipFile(archive) as opened:
        member = opened.getinfo("images_4/frame_00002.png")
    start = member.header_offset + 30 + len(member.filename)
    content = bytearray(archive.read_bytes())
    place = start + at if at > 0 else start + member.compress_size + at
    content[place : place + 200] = bytes(200)
    archive.write_bytes(content)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", without_benchmark_list=True)
    check_converted(made.clips[scene_hash(0)], SMALL, scale_free=True, frames=[0, 2])


def test_what_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_dl3dv(tmp_path / "raw", SMALL)
    (folder / "images_8" / "frame_00002.png").write_bytes(bytes(100_000))
    zipped(folder, inner=True)
    monkeypatch.setattr("gen3r.data.converters.scene_files._LARGEST_MEMBER", 50_000)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", without_benchmark_list=True)
    check_converted(made.clips[scene_hash(0)], SMALL, scale_free=True, frames=[0, 2])
    monkeypatch.setattr("gen3r.data.converters.scene_files._LARGEST_MEMBER", 500)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "none", without_benchmark_list=True)
    assert "holds more than" in made.refused[scene_hash(0)]


def test_scenes_without_cameras_or_pictures_are_told(tmp_path: Path) -> None:
    write_dl3dv(tmp_path, SMALL, 0)
    (write_dl3dv(tmp_path, SMALL, 1) / "transforms.json").unlink()
    empty = write_dl3dv(tmp_path, SMALL, 2) / "images_8"
    for picture in empty.iterdir():
        picture.unlink()
    (tmp_path / "1K" / f"{scene_hash(3)}.zip").write_bytes(b"PK and nothing more")
    findings = CONVERTER.find(tmp_path, ANYTHING)
    assert [found.name for found in findings.scenes] == [scene_hash(0)]
    reasons = {Path(problem.place).stem: problem.reason for problem in findings.problems}
    assert "transforms.json" in reasons[scene_hash(1)]
    assert "pictures" in reasons[scene_hash(2)]
    assert "zip" in reasons[scene_hash(3)]


def test_the_benchmark_is_kept_out_of_training(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for index in range(3):
        write_dl3dv(raw, SMALL, index)
    write_dl3dv(raw, SMALL, 1, batch="DL3DV-Benchmark", below="nerfstudio", images="images_4")
    write_dl3dv(raw, SMALL, 4, batch="DL3DV-Benchmark", below="nerfstudio", images="images_4")
    write_benchmark_list(tmp_path, 2)
    findings = CONVERTER.find(raw, ConvertOptions())
    (train,) = findings.scenes
    assert (train.name, train.split) == (scene_hash(0), "train")
    assert [problem.place for problem in findings.problems if "known" in problem.reason] == []
    everything = CONVERTER.find(raw, ConvertOptions(include_benchmarks=True)).scenes
    assert {found.name: found.split for found in everything} == {
        scene_hash(0): "train",
        scene_hash(1): "held-out",
        scene_hash(2): "held-out",
        scene_hash(4): "held-out",
    }


@pytest.mark.parametrize("content", [None, "the list is on the web", f"{'0' * 63},{'0' * 65}"], ids=str)
def test_without_a_list_nothing_is_trained_on_unless_the_user_says_so(tmp_path: Path, content: str | None) -> None:
    raw = tmp_path / "raw"
    write_dl3dv(raw, SMALL)
    if content is not None:
        (raw / "benchmark.txt").write_text(content)
    with pytest.raises(ValueError, match=r"DL3DV-Benchmark.*--without-benchmark-list"):
        CONVERTER.find(raw, ConvertOptions())
    findings = CONVERTER.find(raw, ANYTHING)
    assert len(findings.scenes) == 1
    assert "only 0 of the 140" in findings.problems[0].reason


def test_a_list_that_is_too_short_is_told(tmp_path: Path) -> None:
    write_dl3dv(tmp_path, SMALL)
    write_benchmark_list(tmp_path, count=139)
    findings = CONVERTER.find(tmp_path, ConvertOptions())
    assert len(findings.scenes) == 1
    assert "only 139 of the 140" in findings.problems[0].reason


def test_a_zip_of_the_benchmarks_layout_is_held_out(tmp_path: Path) -> None:
    write_dl3dv(tmp_path / "raw", SMALL, 0)
    folder = write_dl3dv(tmp_path / "raw", SMALL, 1, below="nerfstudio", images="images_4").parent
    zipped(folder, inner=True)
    scenes = CONVERTER.find(
        tmp_path / "raw", ConvertOptions(include_benchmarks=True, without_benchmark_list=True)
    ).scenes
    assert {found.name: found.split for found in scenes} == {scene_hash(0): "train", scene_hash(1): "held-out"}
    assert len(CONVERTER.find(tmp_path / "raw", ANYTHING).scenes) == 1


def test_a_scene_of_the_benchmarks_layout_is_read(tmp_path: Path) -> None:
    write_dl3dv(tmp_path / "raw", SMALL, batch="DL3DV-Benchmark", below="nerfstudio", images="images_4", lens=LENS)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", include_benchmarks=True)
    assert made.record(scene_hash(0))["split"] == "held-out"


def test_another_folder_is_refused_saying_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        CONVERTER.find(tmp_path, ConvertOptions())
