"""Waymo Open: both formats give the same clips; undistorted, by the pose of each picture, from damaged files too."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from data.converters.fixture import check_converted, make_scene, snapshot
from data.converters.raw_waymo import (
    CONTEXT,
    FRONT,
    FRONT_LEFT,
    frame_message,
    seen_by,
    shots,
    tfrecord,
    write_parquet,
    write_tfrecord,
)
from data.converters.whole_dataset import Conversion, convert
from gen3r.data.converters.waymo import CONVERTER
from gen3r.data.converters.waymo_parquet import PictureColumn
from gen3r.data.converting.raw import ConvertOptions, UnusableScene

SCENE = make_scene(frames=6, width=96, height=64, focal=90.0)
SHORT = replace(SCENE, world_from_camera=SCENE.world_from_camera[:2])
NAMES = {FRONT: f"{CONTEXT}-front", FRONT_LEFT: f"{CONTEXT}-front_left"}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("records")
    write_tfrecord(root, SCENE)
    return root


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parquet")
    write_parquet(root, SCENE)
    return root


@pytest.fixture(scope="module")
def made(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    return convert(CONVERTER, records, tmp_path_factory.mktemp("clips"))


@pytest.mark.parametrize("camera", [FRONT, FRONT_LEFT])
def test_undistorted_pictures_show_the_dots(made: Conversion, camera: int) -> None:
    assert list(made.clips) == list(NAMES.values())
    check_converted(made.clips[NAMES[camera]], seen_by(camera, SCENE), scale_free=False)
    record = made.record(NAMES[camera])
    assert (record["source"], record["scale_kind"], record["split"]) == ("waymo", "metric", "train")
    assert record["labels"] == {
        "category": "street",
        "weather": "sunny",
        "time of day": "daytime",
        "place": "San Francisco",
    }
    np.testing.assert_allclose(np.diff(record["times"]), 0.1, atol=1e-6)


@pytest.mark.parametrize("mistake", [{"inverted": True}, {"flip": np.diag([1.0, -1, -1, 1])}], ids=str)
def test_wrong_poses_are_noticed(made: Conversion, mistake: dict) -> None:
    with pytest.raises(AssertionError):
        check_converted(made.clips[NAMES[FRONT]], SCENE, scale_free=False, **mistake)


def test_the_distortion_matters(tmp_path: Path) -> None:
    """Pictures drawn with it and calibrations that deny it: the dots are elsewhere."""
    write_tfrecord(tmp_path / "raw", SCENE, taken=shots(SCENE), distortion=(0.0,) * 5)
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError):
        check_converted(made.clips[NAMES[FRONT]], SCENE, scale_free=False)


def test_both_formats_give_identical_clips(made: Conversion, parquet: Path, tmp_path: Path) -> None:
    other = convert(CONVERTER, parquet, tmp_path)
    assert list(other.clips) == list(made.clips)
    for name, clip in made.clips.items():
        one, two = (
            {file: content for file, (_, content) in snapshot(root).items()} for root in (clip, other.clips[name])
        )
        assert one == two


def test_packed_numbers_absent_checksums_and_single_precision_are_read(
    made: Conversion, records: Path, tmp_path: Path
) -> None:
    write_tfrecord(tmp_path / "packed", SCENE, packed=True, checksums=False)
    write_parquet(tmp_path / "single", SCENE, number_type=pa.float32())
    options = ConvertOptions(cameras=("front",))
    wanted, packed, single = (
        CONVERTER.read(root, CONVERTER.find(root, options).scenes[0], options)
        for root in (records, tmp_path / "packed", tmp_path / "single")
    )
    for a, b, c in zip(wanted.frames, packed.frames, single.frames, strict=True):
        np.testing.assert_array_equal(a.camera.world_from_camera, b.camera.world_from_camera)
        np.testing.assert_allclose(a.camera.world_from_camera, c.camera.world_from_camera, rtol=1e-6, atol=2e-3)
        assert a.camera.lens == c.camera.lens
        assert callable(a.picture)
        assert callable(c.picture)
        assert a.picture() == c.picture()


def test_a_car_that_drives_ahead_moves_its_front_camera_ahead(tmp_path: Path) -> None:
    ahead = [shot for shot in shots(SCENE)[:4] if shot.camera == FRONT]
    step = np.eye(4)
    step[0, 3] = 1.5  # x of the car
    ahead[1] = replace(ahead[1], pose=ahead[0].pose @ step)
    write_tfrecord(tmp_path, SCENE, taken=ahead)
    options = ConvertOptions()
    (found,) = CONVERTER.find(tmp_path, options).scenes
    first, second = CONVERTER.read(tmp_path, found, options).frames
    moved = (np.linalg.inv(first.camera.world_from_camera) @ second.camera.world_from_camera)[:3, 3]
    assert moved[2] == pytest.approx(1.5, rel=1e-3)  # the camera is turned by one degree
    assert abs(moved[:2]).max() < 0.03


def test_folders_are_splits(tmp_path: Path) -> None:
    for split in ("training", "validation", "testing"):
        write_tfrecord(tmp_path / "waymo_v1", SHORT, split=split)
    scenes = CONVERTER.find(tmp_path, ConvertOptions(cameras=("FRONT",))).scenes
    assert {found.place.split("/")[1]: found.split for found in scenes} == {
        "training": "train",
        "validation": "validation",
        "testing": "held-out",
    }
    inside = CONVERTER.find(tmp_path / "waymo_v1" / "testing", ConvertOptions()).scenes
    assert {found.split for found in inside} == {"held-out"}


def test_frames_and_bytes_are_known_before_reading(records: Path, parquet: Path) -> None:
    for root in (records, parquet):
        for found in CONVERTER.find(root, ConvertOptions()).scenes:
            assert found.frames == SCENE.frames
            assert found.size is not None
            assert found.size == pytest.approx(sum(len(shot.jpeg) for shot in shots(SCENE)) / 2, rel=0.3)


@pytest.mark.parametrize("cut", [4, 3000], ids=["inside a head", "inside a record"])
def test_of_a_truncated_file_the_whole_records_are_kept(records: Path, tmp_path: Path, cut: int) -> None:
    (path,) = records.rglob("*.tfrecord")
    content = path.read_bytes()
    last = len(tfrecord([frame_message(SCENE, shots(SCENE)[-2:])]))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / path.name).write_bytes(content[: len(content) - last + cut])
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", cameras=("FRONT",))
    check_converted(made.clips[NAMES[FRONT]], SCENE, scale_free=False, frames=[0, 1, 2, 3, 4])
    assert any("ends inside" in note for note in made.record(NAMES[FRONT])["notes"])
    assert [problem.place for problem in made.findings.problems] == [path.name]


def test_damaged_records_are_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    taken = shots(SCENE)
    messages = [frame_message(SCENE, taken[2 * frame : 2 * frame + 2]) for frame in range(6)]
    messages[0] = messages[0][:200]  # a field reaches beyond the message
    messages[2] = b"\xff" * 40  # no number ends
    messages[4] = b""  # no context
    broken = bytearray(tfrecord(messages))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.tfrecord").write_bytes(broken)
    broken[8 + 4 + len(messages[0]) + 4] ^= 1  # the length of the second record
    (tmp_path / "raw" / "b.tfrecord").write_bytes(broken)
    (tmp_path / "raw" / "c.tfrecord").write_bytes(b"")
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips", cameras=("FRONT",))
    clip = made.clips[NAMES[FRONT]]
    check_converted(clip, SCENE, scale_free=False, frames=[1, 3, 5])
    (note,) = made.record(NAMES[FRONT])["notes"]
    assert "record 0" in note
    assert "record 2" in note
    assert "record 4" in note
    assert [problem.place for problem in made.findings.problems] == ["a.tfrecord", "b.tfrecord", "c.tfrecord"]
    assert "damaged" in made.findings.problems[1].reason


def test_no_bytes_break_the_reader(tmp_path: Path) -> None:
    """Whatever a file holds, it is read or told to be damaged."""
    taken = [replace(shot, jpeg=b"picture") for shot in shots(SHORT)]
    path = write_tfrecord(tmp_path, SHORT, taken=taken)
    content, random = path.read_bytes(), np.random.default_rng(0)
    options = ConvertOptions()
    told = read = 0
    for _ in range(25):
        changed = np.frombuffer(content, np.uint8).copy()
        places = random.integers(12, len(changed), 4)
        changed[places] = random.integers(0, 256, 4)
        path.write_bytes(changed.tobytes())
        findings = CONVERTER.find(tmp_path, options)
        told += len(findings.problems)
        for found in findings.scenes:
            try:
                scene = CONVERTER.read(tmp_path, found, options)
            except UnusableScene:
                told += 1
            else:
                read += 1
                told += len(scene.notes)
    assert told > 5
    assert read > 5


def test_damaged_and_incomplete_parquet_is_told(tmp_path: Path) -> None:
    for split in ("training", "validation", "testing"):
        write_parquet(tmp_path, SHORT, split=split)
    (tmp_path / "training" / "camera_image" / f"{CONTEXT}.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "validation" / "camera_calibration" / f"{CONTEXT}.parquet").unlink()
    calibration = tmp_path / "testing" / "camera_calibration" / f"{CONTEXT}.parquet"
    calibration.write_bytes((tmp_path / "testing" / "stats" / f"{CONTEXT}.parquet").read_bytes())
    made = convert(CONVERTER, tmp_path, tmp_path / "clips")
    assert not made.clips
    places = [problem.place.split("/")[0] for problem in made.findings.problems]
    assert places == ["training", "validation"]
    assert all("lacks the columns" in reason for reason in made.refused.values())
    assert len(made.refused) == 2


def test_pictures_of_parquet_come_in_any_order(parquet: Path) -> None:
    (path,) = parquet.rglob("camera_image/*.parquet")
    column = PictureColumn(path)
    expected = [shot.jpeg for shot in shots(SCENE)]
    for row in (0, 1, 11, 3, 3, 4, 10):
        assert column(row) == expected[row]
    with pytest.raises(ValueError, match="row 12"):
        column(12)
    assert column(0) == expected[0]
    with Image.open(io.BytesIO(expected[0])) as picture:
        assert picture.size == (SCENE.width, SCENE.height)


def test_what_it_does_not_have_is_refused(records: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="FRONT_LEFT"):
        CONVERTER.find(records, ConvertOptions(cameras=("BACK",)))
    with pytest.raises(ValueError, match="tfrecord"):
        CONVERTER.find(tmp_path, ConvertOptions())


def test_the_checksum_of_lengths_is_tensorflows() -> None:
    """A record of no bytes, as TensorFlow writes it."""
    assert tfrecord([b""]) == struct.pack("<QI", 0, 0x07980329) + struct.pack("<I", 0xA282EAD8)
