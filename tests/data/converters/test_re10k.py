"""RealEstate10K: world-to-camera rows, intrinsics as parts of the size on disk, frames found by their microseconds."""

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from data.converters.fixture import check_converted, make_scene
from data.converters.raw_re10k import CLIP, times, write_chunk, write_clip
from data.converters.whole_dataset import convert
from gen3r.data.converters.re10k import CONVERTER
from gen3r.data.converting.raw import ConvertOptions, RawScene

SCENE = make_scene(frames=8, width=64, height=36)


def read_one(source: Path) -> RawScene:
    (found,) = CONVERTER.find(source, ConvertOptions()).scenes
    return CONVERTER.read(source, found, ConvertOptions())


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_dots_are_where_the_cameras_say(tmp_path: Path, suffix: str) -> None:
    write_clip(tmp_path / "raw", SCENE, suffix=suffix)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[CLIP], SCENE, scale_free=True)
    record = made.record(CLIP)
    assert (record["source"], record["scale_kind"], record["split"]) == ("re10k", "unknown", "held-out")
    assert record["times"] == pytest.approx([time / 1e6 for time in times(SCENE)])


@pytest.mark.parametrize("mistake", [{"inverted": True}, {"flip": np.diag([1.0, -1, -1, 1])}], ids=str)
def test_wrong_poses_are_noticed(tmp_path: Path, mistake: dict) -> None:
    write_clip(tmp_path / "raw", SCENE)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError):
        check_converted(made.clips[CLIP], SCENE, scale_free=True, **mistake)


def test_camera_to_world_rows_are_noticed(tmp_path: Path) -> None:
    write_clip(tmp_path / "raw", SCENE, inverted=True)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError, match="dot"):
        check_converted(made.clips[CLIP], SCENE, scale_free=True)


def test_chunks_hold_the_same_as_text_and_frames(tmp_path: Path) -> None:
    write_chunk(tmp_path / "raw", {CLIP: SCENE, "other": make_scene(frames=4)}, split="train")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[CLIP], SCENE, scale_free=True)
    check_converted(made.clips["other"], make_scene(frames=4), scale_free=True)
    assert set(made.splits.values()) == {"train"}


def test_half_the_size_halves_the_intrinsics_alone(tmp_path: Path) -> None:
    write_clip(tmp_path / "full", SCENE)
    write_clip(tmp_path / "half", SCENE, shrunk=2)
    for full, half in zip(read_one(tmp_path / "full").frames, read_one(tmp_path / "half").frames, strict=True):
        np.testing.assert_allclose(half.camera.intrinsics[:2], full.camera.intrinsics[:2] / 2, rtol=1e-6)
        np.testing.assert_array_equal(half.camera.world_from_camera, full.camera.world_from_camera)


def test_a_missing_frame_goes_with_its_camera(tmp_path: Path) -> None:
    text = write_clip(tmp_path / "raw", SCENE, missing=[2, 5])
    url, *lines = text.read_text().splitlines()
    text.write_text("\n".join([url, *reversed(lines), lines[3], "42 not numbers"]))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[CLIP], SCENE, scale_free=True, frames=[0, 1, 3, 4, 6, 7])
    notes = " ".join(made.record(CLIP)["notes"])
    assert "2 cameras without a frame" in notes
    assert "1 times given twice" in notes
    assert "damaged lines 11" in notes


def test_frames_around_a_long_gap_are_no_neighbours(tmp_path: Path) -> None:
    text = write_clip(tmp_path / "raw", SCENE)
    url, *lines = text.read_text().splitlines()
    late = [str(int(line.split()[0]) + 2_000_000) for line in lines[:3]]
    for line, time in zip(lines[:3], late, strict=True):
        (text.with_suffix("") / f"{line.split()[0]}.png").rename(text.with_suffix("") / f"{time}.png")
    moved = [" ".join([time, *line.split()[1:]]) for line, time in zip(lines[:3], late, strict=True)]
    text.write_text("\n".join([url, *lines[3:], *moved]))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[CLIP], SCENE, scale_free=True, frames=[3, 4, 5, 6, 7])
    assert any(note.startswith("3 frames left out") for note in made.record(CLIP)["notes"])


def test_a_stray_picture_hides_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path, SCENE)
    for folder in (tmp_path, tmp_path / "test"):
        (folder / "1.png").write_bytes(b"stray")
    assert [found.frames for found in CONVERTER.find(tmp_path, ConvertOptions()).scenes] == [8]


def test_the_folder_of_one_split_keeps_its_split(tmp_path: Path) -> None:
    write_clip(tmp_path, SCENE, split="validation")
    assert set(convert(CONVERTER, tmp_path / "validation", tmp_path / "clips").splits.values()) == {"validation"}


def test_damaged_frames_and_cameras_are_left_out_and_told(tmp_path: Path) -> None:
    text = write_clip(tmp_path / "raw", SCENE)
    frames = sorted(text.with_suffix("").iterdir())
    frames[1].write_bytes(frames[1].read_bytes()[:100])
    frames[2].write_text("no picture")
    lines = text.read_text().splitlines()
    lines[5] = " ".join([*lines[5].split()[:7], *["0"] * 12])
    text.write_text("\n".join(lines))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[CLIP], SCENE, scale_free=True, frames=[0, 3, 5, 6, 7])
    notes = " ".join(made.record(CLIP)["notes"])
    assert "left out frame 1: the picture cannot be read" in notes
    assert "left out frame 2: its picture is missing or damaged" in notes
    assert "left out frame 4: its camera is not finite" in notes


def test_what_cannot_be_used_is_listed_and_the_rest_converted(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_clip(raw, SCENE)
    write_clip(raw, SCENE, split="train", clip="00000000000000aa").write_text("https://gone\n")
    shutil.rmtree(write_clip(raw, SCENE, split="train", clip="00000000000000bb").with_suffix(""))
    write_clip(raw, SCENE, split="train", clip="00000000000000cc").unlink()
    (raw / "train" / "000001.torch").write_bytes(b"no chunk")
    (raw / "validation").mkdir()
    shutil.copy(raw / "test" / f"{CLIP}.txt", raw / "validation")
    made = convert(CONVERTER, raw, tmp_path / "clips")
    assert list(made.clips) == [CLIP]
    assert "holds no cameras" in made.refused["00000000000000aa"]
    told = {problem.place: problem.reason for problem in made.findings.problems}
    assert "video may be gone" in told["train/00000000000000bb.txt"]
    assert "no text file" in told["train/00000000000000cc"]
    assert "no chunk" in told["train/000001.torch"]
    assert "another text file has this name" in told[f"validation/{CLIP}.txt"]


def bomb() -> bytes:
    """The beginning of a PNG that says it has 60000x60000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def row(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


DAMAGED = {
    "a bomb": row(bomb()),
    "bytes, no tensor": b"\x89PNG",
    "text": "x",
    "stretched": torch.zeros(1, dtype=torch.uint8).expand(10**12),
    "floats": torch.zeros(100),
    "a table": torch.zeros(10, 10, dtype=torch.uint8),
    "empty": torch.zeros(0, dtype=torch.uint8),
    "a number": torch.tensor(3, dtype=torch.uint8),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_picture_of_a_chunk_costs_its_frame_alone(tmp_path: Path, kind: str) -> None:
    chunk = write_chunk(tmp_path / "raw", {CLIP: SCENE})
    entries = torch.load(chunk, weights_only=True)
    entries[0]["images"][2] = DAMAGED[kind]
    torch.save(entries, chunk)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert made.refused == {}
    assert made.record(CLIP)["frames"] == SCENE.frames - 1
    assert "left out frame 2: its picture is missing or damaged" in made.record(CLIP)["notes"]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("timestamps", torch.zeros(8, 1, dtype=torch.int64)),
        ("timestamps", torch.zeros(1, dtype=torch.int64).expand(10**12)),
        ("timestamps", torch.arange(8) - 3),
        ("timestamps", [1, 2]),
        ("cameras", torch.zeros(1, 1).expand(10**12, 18)),
        ("cameras", torch.zeros(8, 17)),
        ("cameras", torch.zeros(8, 18).to_sparse()),
        ("cameras", "none"),
        ("images", torch.zeros(8, 4, dtype=torch.uint8)),
        ("images", None),
    ],
)
def test_damaged_numbers_of_a_chunk_are_refused(tmp_path: Path, key: str, values: object) -> None:
    chunk = write_chunk(tmp_path / "raw", {CLIP: SCENE})
    entries = torch.load(chunk, weights_only=True)
    entries[0][key] = values
    torch.save(entries, chunk)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    told = [*made.refused.values(), *(problem.reason for problem in made.findings.problems)]
    assert any("000000.torch" in reason for reason in told)
    assert made.clips == {}


def test_bombs_and_impossible_numbers_in_files_cost_their_frames_alone(tmp_path: Path) -> None:
    text = write_clip(tmp_path / "raw", SCENE)
    sorted(text.with_suffix("").iterdir())[1].write_bytes(bomb())
    lines = text.read_text().splitlines()
    lines[3] = " ".join([*lines[3].split()[:7], *["1e300"] * 12])
    lines[4] = " ".join([lines[4].split()[0], "1e308", *lines[4].split()[2:]])
    lines[5] = " ".join(["9" * 400, *lines[5].split()[1:]])
    text.write_text("\n".join(lines))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    check_converted(made.clips[CLIP], SCENE, scale_free=True, frames=[0, 5, 6, 7])


def test_pickled_code_in_a_chunk_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "raw").mkdir()
    torch.save([{"key": "x", "trap": Trap()}], tmp_path / "raw" / "000000.torch")
    findings = CONVERTER.find(tmp_path / "raw", ConvertOptions())
    assert not (tmp_path / "ran").exists()
    assert not findings.scenes
    (problem,) = findings.problems
    assert "never run" in problem.reason
    assert "weights_only" not in problem.reason


def test_another_folder_is_refused_saying_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"no RealEstate10K: expected text files of cameras such as train/0123"):
        CONVERTER.find(tmp_path, ConvertOptions())
