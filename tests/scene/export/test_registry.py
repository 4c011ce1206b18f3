"""Every registered format makes what it promises, and somebody else's reader agrees."""

import dataclasses

import pytest
import torch

from gen3r.extras import Extra
from gen3r.scene.export import registry
from gen3r.scene.export.folder import export_scene
from gen3r.scene.export.registry import EXPORT_FORMATS, ExportFormat, find_formats
from gen3r.scene.export.source import ExportSource
from gen3r.scene.input_views import InputViews
from gen3r.scene.scene import Scene
from scene.export_readers import READERS
from scene.rooms import room_scene

HEIGHT, WIDTH = 27, 37  # odd on purpose
NEED_A_SURFACE = ("mesh", "glb-mesh")


def a_scene(frames: int) -> ExportSource:
    views = InputViews(images=(torch.full((3, HEIGHT, WIDTH), 0.5),), frames=(0,))
    return ExportSource(room_scene(frames, HEIGHT, WIDTH), views)


def unseen(source: ExportSource) -> ExportSource:
    scene = source.scene
    return dataclasses.replace(source, scene=dataclasses.replace(scene, mask=torch.zeros_like(scene.mask)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Scene folders of an ordinary scene of odd size, one of a single frame, and one without a surface."""
    folders = {}
    for name, case in {"odd": a_scene(3), "one frame": a_scene(1), "nothing seen": unseen(a_scene(3))}.items():
        folders[name] = tmp_path_factory.mktemp("scenes")
        find_formats(["scene"])[0].writer()(case, folders[name])
    return folders


@pytest.mark.parametrize("item", EXPORT_FORMATS, ids=lambda item: item.name)
@pytest.mark.parametrize("case", ["odd", "one frame", "nothing seen"])
def test_each_format_makes_what_it_promises(item, case, saved, tmp_path):
    """And another reader agrees. Only meshes refuse a scene without a surface; they leave nothing behind."""
    if not item.installed:
        pytest.skip(f"needs {item.extra.remedy}")
    if case == "nothing seen" and item.name in NEED_A_SURFACE:
        with pytest.raises(ValueError, match="no pixel is left to make a mesh of"):
            export_scene(saved[case], [item.name], tmp_path / "out")
        assert list(tmp_path.iterdir()) == []
        return
    made = export_scene(saved[case], [item.name], tmp_path / "out")
    assert {path.name for path in made} == {path.name for path in (tmp_path / "out").iterdir()} == set(item.files)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files
    assert all(path.stat().st_size for path in files if path.suffix != ".txt")
    READERS[item.name](tmp_path / "out", Scene.load(saved[case]))


def test_another_reader_is_named_for_each_format():
    assert set(READERS) == {item.name for item in EXPORT_FORMATS}


@pytest.mark.parametrize("item", EXPORT_FORMATS, ids=lambda item: item.name)
def test_each_format_is_described(item):
    assert all((item.summary, item.opens_in, item.conventions))


def test_all_is_every_format_that_is_installed():
    assert set(find_formats(["all"])) == {item for item in EXPORT_FORMATS if item.installed}


def test_missing_libraries_are_told_before_any_work(saved, tmp_path, monkeypatch):
    wanting = ExportFormat(
        name="fbx",
        files=("scene.fbx",),
        summary="nobody has it",
        module="fbx",
        extra=Extra(name="films", modules=("no_such_library",)),
    )
    monkeypatch.setattr(registry, "EXPORT_FORMATS", (*EXPORT_FORMATS, wanting))
    with pytest.raises(ValueError, match=r"the format fbx needs no_such_library.*pip install 'gen3r\[films\]'"):
        export_scene(saved["odd"], ["cameras", "fbx"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert wanting not in find_formats(["all"])


def test_names_and_files_are_unambiguous():
    keys = [key for item in EXPORT_FORMATS for key in {item.name, *item.files}]
    assert len(set(keys)) == len(keys)


def test_formats_are_found_by_name_or_file():
    assert [item.name for item in find_formats(["points.ply", "glb", "ply"])] == ["ply", "glb"]


@pytest.mark.parametrize("names", [["obj"], []])
def test_unknown_formats_are_answered_with_the_list(names):
    with pytest.raises(ValueError, match=r"(?s)unknown export format 'obj'|no export format") as caught:
        find_formats(names)
    assert all(item.name in str(caught.value) for item in EXPORT_FORMATS)
