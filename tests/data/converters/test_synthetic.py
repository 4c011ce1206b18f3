"""Packed synthetic clips become clips of the schema."""

from pathlib import Path

import pytest

from data.converters.fixture import check_converted, make_scene
from data.converters.raw_synthetic import write_pack
from data.converters.whole_dataset import convert
from gen3r.data.converters.synthetic import CONVERTER
from gen3r.data.converting.raw import ConvertOptions

SCENE = make_scene(frames=4, width=48, height=40)


def test_clips_of_a_pack(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "raw" / "pack.safetensors", SCENE, seeds=(7, 900_000_001))
    made = convert(CONVERTER, tmp_path / "raw", tmp_path / "clips")
    assert made.splits == {"000000007": "train", "900000001": "held-out"}
    for clip in made.clips.values():
        check_converted(clip, SCENE, scale_free=False)
    assert made.record("000000007")["caption_kind"] == "given"
    assert (made.clips["000000007"] / "captions.txt").read_text() == "Ten dots, seed 7.\n"
    assert list(convert(CONVERTER, pack, tmp_path / "one").clips) == list(made.clips)


def test_damaged_packs_are_listed_and_others_converted(tmp_path: Path) -> None:
    whole = write_pack(tmp_path / "b.safetensors", SCENE)
    (tmp_path / "a.safetensors").write_bytes(whole.read_bytes()[:500])
    findings = CONVERTER.find(tmp_path, ConvertOptions())
    assert [found.name for found in findings.scenes] == ["000000007"]
    assert "cannot be read" in findings.problems[0].reason


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no packed clips"):
        CONVERTER.find(tmp_path, ConvertOptions())
