"""Zips of a scene: what is asked for and nothing else, made once."""

import dataclasses
import time
import zipfile
from pathlib import Path

import pytest
import torch

from gen3r.apps.studio.archive import ALL, chosen_formats, is_here, make_archive
from gen3r.apps.studio.errors import InvalidRequest
from gen3r.apps.studio.exporting import NOT_MADE, REFUSED, main
from gen3r.scene.export.folder import export_scene
from gen3r.scene.export.registry import EXPORT_FORMATS
from scene.rooms import room_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "scene"
    room_scene(2, 28, 28).save(folder)
    export_scene(folder, ["ply", "png", "cameras"])
    return folder


@pytest.fixture(scope="module")
def hollow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene without a surface, which no mesh can hold."""
    full = room_scene(1, 28, 28)
    folder = tmp_path_factory.mktemp("scenes") / "hollow"
    dataclasses.replace(full, mask=torch.zeros_like(full.mask)).save(folder)
    return folder


def test_a_zip_holds_the_files_of_its_formats(scene: Path, tmp_path: Path) -> None:
    made = make_archive(scene, chosen_formats(["ply", "png", "tum"]), tmp_path / "archives")
    with zipfile.ZipFile(made) as members:
        assert members.testzip() is None
        assert set(members.namelist()) == {
            "points.ply", "depth/frame00000.png", "depth/frame00001.png", "trajectory.txt",
        }  # fmt: skip
        assert members.read("points.ply") == (scene / "points.ply").read_bytes()
    before = made.stat().st_mtime_ns
    assert make_archive(scene, chosen_formats(["tum", "png", "ply", "ply"]), tmp_path / "archives") == made
    assert made.stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "archives").iterdir()] == [made.name]


def test_only_the_newest_zips_are_kept(scene: Path, tmp_path: Path) -> None:
    for name in ("ply", "png", "cameras", "ply"):
        made = make_archive(scene, chosen_formats([name]), tmp_path)
        assert made.exists()
        time.sleep(0.02)  # times of files are coarse
    assert {path.name for path in tmp_path.iterdir()} == {"cameras.zip", "ply.zip"}


def test_formats_are_names_of_the_registry() -> None:
    assert chosen_formats([ALL]) == tuple(item for item in EXPORT_FORMATS if is_here(item))
    for names in ([], [""], ["../ply"], ["ply", "points.ply"], ["PLY"]):
        with pytest.raises(InvalidRequest) as refusal:
            chosen_formats(names)
        assert "choose among scene" in refusal.value.hint


def test_a_format_that_cannot_hold_the_scene_is_refused_or_left_out(
    hollow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("open3d")
    assert main([str(hollow), str(tmp_path / "strict"), "mesh", "tum"]) == REFUSED
    assert "mesh" in capsys.readouterr().out
    assert not (tmp_path / "strict").exists()
    assert main([str(hollow), str(tmp_path / "lenient"), "--lenient", "mesh", "tum"]) == 0
    assert {path.name for path in (tmp_path / "lenient").iterdir()} == {NOT_MADE, "trajectory.txt"}
    assert (tmp_path / "lenient" / NOT_MADE).read_text().startswith("mesh: ")


def test_what_the_export_says_reaches_the_client_without_paths(hollow: Path, tmp_path: Path) -> None:
    (hollow / "scene.json").rename(hollow / "gone.json")
    try:
        with pytest.raises(InvalidRequest, match=r"scene\.json is missing") as refusal:
            make_archive(hollow, chosen_formats(["tum"]), tmp_path)
    finally:
        (hollow / "gone.json").rename(hollow / "scene.json")
    assert str(hollow) not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []
