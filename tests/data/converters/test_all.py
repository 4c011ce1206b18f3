"""Every converter of the list, once through the command, over a raw tree with the known scene."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.running import Runner
from data.converters.fixture import snapshot
from data.converters.raw_trees import TREES
from gen3r.cli.data.convert import POSES
from gen3r.data.converters.registry import CONVERTERS, find_entry, load_converter
from gen3r.data.dataset import ClipDataset


@pytest.mark.parametrize("name", CONVERTERS)
def test_raw_files_become_a_dataset_with_one_command(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POSES, "pycolmap", "data.converters.raw_captures:KnownPoses")
    gen3r, raw, clips = Runner(capsys), tmp_path / "raw", tmp_path / "clips"
    tree = TREES[name]
    raw.mkdir()
    tree.write(raw)
    before = snapshot(raw)
    command = ("data", "convert", name, raw, clips, *tree.options)

    planned = gen3r(*command, "--dry-run")
    assert (planned.code, f"{tree.clips} scenes to convert" in planned.stdout) == (0, True), planned
    assert not clips.exists()

    converted = gen3r(*command)
    assert (converted.code, f"{tree.clips} scenes converted" in converted.stdout) == (0, True), converted
    dataset = ClipDataset.open(clips)
    assert len(dataset) == tree.clips
    for clip in dataset:
        everything = range(clip.record.frames)
        assert clip.rgb(everything).shape[0] == len(clip.cameras) == clip.record.frames
        clip.depth(everything)
        clip.masks(everything)
        assert clip.record.source == load_converter(name).name == (find_entry(name).source or name)
        assert clip.record.licence == load_converter(name).licence

    written = snapshot(clips)
    again = gen3r(*command)
    assert (again.code, f"{tree.clips} there already" in again.stdout) == (0, True), again
    kept = {path: file for path, file in snapshot(clips).items() if path in written and "/" in path and path[0] != "."}
    assert kept == {path: file for path, file in written.items() if "/" in path and path[0] != "."}
    assert snapshot(raw) == before


def test_every_tree_has_its_converter() -> None:
    assert TREES.keys() <= CONVERTERS.keys()
