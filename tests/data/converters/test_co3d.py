"""CO3Dv2: PyTorch3D's cameras in two forms, float16 depth, order by frame number, ratings and set lists."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.converters.fixture import check_converted, make_scene
from data.converters.raw_co3d import UNIT, write_annotations, write_list, write_sequence
from data.converters.whole_dataset import convert
from gen3r.data.converters.co3d import CONVERTER
from gen3r.data.converters.co3d_annotations import frame_annotations
from gen3r.data.converting.raw import ConvertOptions, UnusableScene

SCENE = make_scene(frames=6, width=60, height=80, focal=70.0, center=(24.0, 47.5))
SHORT = replace(SCENE, world_from_camera=SCENE.world_from_camera[:2])
ISOTROPIC, BOUNDS = "110_13051_23361", "189_20393_38136"
SHUFFLED = [3, 0, 5, 1, 4, 2]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("co3d")
    records = write_sequence(root, SCENE, sequence=ISOTROPIC, file_numbers=SHUFFLED)
    records += write_sequence(root, SCENE, sequence=BOUNDS, isotropic=False)
    mixed = [records[index] for index in np.random.default_rng(0).permutation(len(records))]
    write_annotations(root, mixed, quality={ISOTROPIC: 0.9, BOUNDS: 1.2})
    return root


def test_both_forms_of_intrinsics_show_the_dots_and_their_depth(raw: Path, tmp_path: Path) -> None:
    made = convert(CONVERTER, raw, tmp_path)
    assert list(made.clips) == [f"apple-{ISOTROPIC}", f"apple-{BOUNDS}"]
    for clip in made.clips.values():
        check_converted(clip, SCENE, scale_free=True)
    record = made.record(f"apple-{ISOTROPIC}")
    assert (record["source"], record["scale_kind"], record["masks"]) == ("co3d", "unknown", "foreground")
    assert record["times"] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert record["labels"] == {"category": "apple"}


def test_both_forms_give_the_same_intrinsics(raw: Path) -> None:
    options = ConvertOptions()
    one, other = (CONVERTER.read(raw, found, options) for found in CONVERTER.find(raw, options).scenes)
    for a, b in zip(one.frames, other.frames, strict=True):
        np.testing.assert_allclose(a.camera.intrinsics, SCENE.intrinsics, atol=1e-9)
        np.testing.assert_allclose(b.camera.intrinsics, SCENE.intrinsics, atol=1e-9)


def test_depth_is_float16_and_where_it_is_invalid_there_is_none(raw: Path) -> None:
    found = CONVERTER.find(raw, ConvertOptions()).scenes[1]
    frame = CONVERTER.read(raw, found, ConvertOptions()).frames[0]
    assert frame.depth is not None
    depth = frame.depth()
    np.testing.assert_array_equal([depth[0, 0], depth[0, 1], depth[1, 0]], 0)
    values = {
        np.float32(np.float16(z * UNIT / 1.5)) * np.float32(1.5)
        for z in SCENE.camera_points(0)[:, 2].astype(np.float32)
    }
    assert set(depth[depth > 0].tolist()) <= {float(value) for value in values}
    assert (depth > 0).sum() > 100


@pytest.mark.parametrize("mistake", [{"inverted": True}, {"flip": np.diag([-1.0, -1, 1, 1])}], ids=str)
def test_wrong_poses_are_noticed(raw: Path, tmp_path: Path, mistake: dict) -> None:
    made = convert(CONVERTER, raw, tmp_path)
    with pytest.raises(AssertionError):
        check_converted(made.clips[f"apple-{ISOTROPIC}"], SCENE, scale_free=True, **mistake)


def test_rotations_for_column_vectors_are_noticed(tmp_path: Path) -> None:
    records = write_sequence(tmp_path / "raw", SCENE, columns=True)
    write_annotations(tmp_path / "raw", records, quality={ISOTROPIC: 0.9})
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError):
        check_converted(made.clips[f"apple-{ISOTROPIC}"], SCENE, scale_free=True)


def test_the_wrong_form_of_intrinsics_is_noticed(tmp_path: Path) -> None:
    records = write_sequence(tmp_path / "raw", SCENE, isotropic=False)
    for record in records:
        record["viewpoint"]["intrinsics_format"] = "ndc_isotropic"
    write_annotations(tmp_path / "raw", records, quality={ISOTROPIC: 0.9})
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    with pytest.raises(AssertionError):
        check_converted(made.clips[f"apple-{ISOTROPIC}"], SCENE, scale_free=True)


def test_badly_rated_sequences_are_listed_and_left_out(tmp_path: Path) -> None:
    names = ["good", "bad", "unrated"]
    records = [record for name in names for record in write_sequence(tmp_path, SHORT, sequence=name)]
    quality = {"good": 0.51, "bad": 0.5, "unrated": None, "not downloaded": 2.0}
    write_annotations(tmp_path, records, quality=quality)
    write_list(tmp_path, "manyview_dev_0", train=["good"])
    findings = CONVERTER.find(tmp_path, ConvertOptions())
    assert [(found.name, found.frames) for found in findings.scenes] == [("apple-good", 2)]
    assert [problem.place for problem in findings.problems] == ["apple/bad", "apple/unrated"]


def test_set_lists_hold_out_what_benchmarks_test_on(tmp_path: Path) -> None:
    names = ["both", "dev", "many", "test", "train", "unlisted"]
    records = [record for name in names for record in write_sequence(tmp_path, SHORT, sequence=name)]
    write_annotations(tmp_path, records, quality=dict.fromkeys(names, 1.0))
    write_list(tmp_path, "manyview_dev_0", train=["many"], val=["many"])
    scenes = CONVERTER.find(tmp_path, ConvertOptions()).scenes
    assert {found.split for found in scenes} == {"train"}, "the single-sequence subset is for trying things out"
    write_list(tmp_path, "fewview_train", train=["both", "train"], val=["train"], test=["train"])
    write_list(tmp_path, "fewview_dev", train=["both", "train"], val=["dev"], test=["dev", "both"])
    write_list(tmp_path, "fewview_test", train=["train"], test=["test"])
    scenes = CONVERTER.find(tmp_path, ConvertOptions()).scenes
    assert {found.name: found.split for found in scenes} == {
        "apple-both": "held-out",
        "apple-dev": "held-out",
        "apple-many": "held-out",
        "apple-test": "held-out",
        "apple-train": "train",
        "apple-unlisted": "train",
    }


def test_annotations_are_read_in_pieces(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = frame_annotations(raw / "apple" / "frame_annotations.jgz")
    monkeypatch.setattr("gen3r.data.converters.co3d_annotations._CHUNK", 37)
    copy = raw / "apple" / "copy.jgz"
    copy.write_bytes((raw / "apple" / "frame_annotations.jgz").read_bytes())
    pieces = frame_annotations(copy)
    copy.unlink()
    for name in (ISOTROPIC, BOUNDS):
        assert pieces.of(name) == whole.of(name)
        assert len(whole.of(name)) == SCENE.frames


def test_damaged_and_missing_files_are_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    records = write_sequence(raw, SCENE)
    (raw / records[1]["image"]["path"]).unlink()
    records[3]["viewpoint"] = None
    records[4]["viewpoint"]["R"] = [[1, 0], [0, 1]]
    (raw / records[5]["depth"]["path"]).unlink()
    write_annotations(raw, records, quality={ISOTROPIC: 0.9})
    others = write_sequence(raw, SHORT, category="cut", sequence="s")
    write_annotations(raw, others, category="cut", quality={"s": 0.9})
    path = raw / "cut" / "frame_annotations.jgz"
    path.write_bytes(path.read_bytes()[:-40])
    (raw / "none").mkdir()
    (raw / "none" / "sequence_annotations.jgz").write_bytes(gzip.compress(b"[]"))
    made = convert(CONVERTER, raw, tmp_path / "clips")
    assert list(made.clips) == [f"apple-{ISOTROPIC}"]
    record = made.record(f"apple-{ISOTROPIC}")
    assert record["frames"] == 3
    assert any("no picture" in note and "no camera" in note for note in record["notes"])
    assert "damaged" in made.refused["cut-s"]
    reasons = {problem.place: problem.reason for problem in made.findings.problems}
    assert reasons.keys() == {"apple", "cut", "none"}
    assert reasons["apple"] in record["notes"], "there are no set lists"


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"train": [1]}', '{"train": 1}', '{"train": [[[]]]}', '{"train": ["s"]}']
)
def test_a_damaged_set_list_costs_its_category_alone(tmp_path: Path, content: str) -> None:
    for category in ("apple", "cut"):
        records = write_sequence(tmp_path, SHORT, category=category, sequence="s")
        write_annotations(tmp_path, records, category=category, quality={"s": 0.9})
        write_list(tmp_path, "fewview_dev", category=category, train=["s"])
    (tmp_path / "cut" / "set_lists" / "set_lists_fewview_test.json").write_text(content)
    findings = CONVERTER.find(tmp_path, ConvertOptions())
    assert [found.name for found in findings.scenes] == ["apple-s"]
    (problem,) = findings.problems
    assert (problem.place, "set_lists_fewview_test.json" in problem.reason) == ("cut", True)


@pytest.mark.parametrize("name", ["../apple", "..", "a/b", "", 3, None])
def test_names_that_are_no_folder_are_damage(tmp_path: Path, name: object) -> None:
    (tmp_path / "apple").mkdir()
    write_annotations(tmp_path, [], quality={"x": 1.0})
    content = gzip.compress(json.dumps([{"sequence_name": name}]).encode())
    (tmp_path / "apple" / "sequence_annotations.jgz").write_bytes(content)
    findings = CONVERTER.find(tmp_path, ConvertOptions())
    assert "damaged" in {problem.place: problem.reason for problem in findings.problems}["apple"]


def test_files_outside_the_folder_and_records_of_other_kinds_cost_their_frames(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    records = write_sequence(raw, SCENE)
    (raw / records[1]["image"]["path"]).rename(tmp_path / "private.jpg")
    records[1]["image"]["path"] = "../private.jpg"
    records[2]["depth"]["path"] = str(tmp_path / "private.jpg")
    records[3]["depth"] = [1]
    records[4]["image"]["size"] = [1e400, 80]
    write_annotations(raw, records, quality={ISOTROPIC: 0.9})
    made = convert(CONVERTER, raw, tmp_path / "clips")
    record = made.record(f"apple-{ISOTROPIC}")
    assert record["frames"] == 2
    assert any("it names a picture outside the folder" in note for note in record["notes"])


def test_what_is_no_list_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "frame_annotations.jgz"
    for content in (b"{}", b"[{]", b'[{"sequence_name": "a"}, ', b"no gzip"):
        path.write_bytes(content if content == b"no gzip" else gzip.compress(content))
        with pytest.raises(UnusableScene, match="damaged"):
            frame_annotations(path).of("a")


def test_another_folder_is_refused_saying_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frame_annotations"):
        CONVERTER.find(tmp_path, ConvertOptions())
