import dataclasses
import json
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch

from cli.running import Runner
from gen3r.extras import Extra
from gen3r.scene.export import registry
from gen3r.scene.export.registry import EXPORT_FORMATS, ExportFormat
from scene.rooms import room_scene

WANTING = ExportFormat(
    name="fbx",
    files=("scene.fbx",),
    summary="nobody has it",
    module="fbx",
    extra=Extra(name="films", modules=("no_such_library",)),
)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    room_scene(3, 27, 37).save(tmp_path / "scene")
    return tmp_path / "scene"


@pytest.fixture
def few_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of two formats, of which one cannot be used here."""
    formats = (*(item for item in EXPORT_FORMATS if item.name == "cameras"), WANTING)
    monkeypatch.setattr(registry, "EXPORT_FORMATS", formats)
    monkeypatch.setattr("gen3r.cli.export.EXPORT_FORMATS", formats)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("written", [("ply,npz,tum",), ("ply", "npz", "tum"), ("ply,", "npz,tum")])
def test_names_come_with_commas_or_spaces(tmp_path: Path, gen3r: Runner, scene: Path, written: tuple[str, ...]) -> None:
    outcome = gen3r("export", scene, "--format", *written, "--out", tmp_path / "out")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert names(tmp_path / "out") == {"points.ply", "scene.npz", "trajectory.txt"}
    assert {Path(line) for line in outcome.stdout.splitlines()} == set((tmp_path / "out").iterdir())


def test_without_out_the_files_join_the_scene(gen3r: Runner, scene: Path) -> None:
    assert gen3r("export", scene, "--format", "cameras.json").code == 0
    assert names(scene) == {"scene.safetensors", "scene.json", "cameras.json"}


def test_all_leaves_out_what_is_not_installed_and_says_so(
    tmp_path: Path, gen3r: Runner, scene: Path, few_formats: None
) -> None:
    outcome = gen3r("export", scene, "--format", "all", "--out", tmp_path / "out")
    assert outcome.code == 0
    assert names(tmp_path / "out") == {"cameras.json"}
    assert outcome.stderr == (
        "fbx is left out, its libraries are not installed; to have it, run: pip install 'gen3r[films]'\n"
    )


def test_a_named_format_must_be_installed(tmp_path: Path, gen3r: Runner, scene: Path, few_formats: None) -> None:
    outcome = gen3r("export", scene, "--format", "cameras,fbx", "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "pip install 'gen3r[films]'" in outcome.stderr
    assert names(tmp_path) == {"scene"}


def test_cleaning_and_limits_reach_the_files(tmp_path: Path, gen3r: Runner, scene: Path) -> None:
    def points(name: str, *options: object) -> int:
        assert gen3r("export", scene, "--format", "ply,npz", *options, "--out", tmp_path / name).code == 0
        with (tmp_path / name / "points.ply").open("rb") as file:
            return len(plyfile.PlyData.read(file)["vertex"])

    everything = points("all", "--clean", "none", "--max-points", "none")
    assert points("strong", "--clean", "strong", "--max-points", 0) < everything
    assert points("few", "--max-points", 60) <= 60
    with np.load(tmp_path / "all" / "scene.npz") as arrays:
        assert (arrays["keep"] == arrays["mask"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", ","), "no export format given"),
        (("--format", "ply,obj"), "unknown export format 'obj'"),
        (("--format", "ply", "--max-points", -5), "--max-points expects a whole number"),
        (("--format", "ply", "--max-faces", "many"), "invalid"),
        (("--format", "ply", "--clean", "spotless"), "spotless"),
        (("--format", "ply", "--out", "."), "not empty"),
    ],
)
def test_mistakes_are_explained_and_nothing_is_written(
    tmp_path: Path, gen3r: Runner, scene: Path, options: tuple[object, ...], message: str
) -> None:
    before = names(scene)
    outcome = gen3r("export", scene, *(scene if option == "." else option for option in options))
    assert outcome.code == 2
    assert message in outcome.stderr
    assert (names(scene), names(tmp_path)) == (before, {"scene"})


def test_a_damaged_scene_is_named(tmp_path: Path, gen3r: Runner, scene: Path) -> None:
    record = json.loads((scene / "scene.json").read_text())
    (scene / "scene.json").write_text(json.dumps(record | {"version": 99}))
    outcome = gen3r("export", scene, "--format", "ply", "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "schema version 99" in outcome.stderr
    assert names(tmp_path) == {"scene"}


@pytest.mark.parametrize("asked", ["all", "glb-mesh"])
def test_a_scene_without_surface_has_no_mesh_and_everything_else(
    tmp_path: Path, gen3r: Runner, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    formats = tuple(item for item in EXPORT_FORMATS if item.name in ("cameras", "glb-mesh"))
    monkeypatch.setattr(registry, "EXPORT_FORMATS", formats)
    monkeypatch.setattr("gen3r.cli.export.EXPORT_FORMATS", formats)
    empty = room_scene(2, 20, 26)
    dataclasses.replace(empty, mask=torch.zeros_like(empty.mask)).save(tmp_path / "empty")
    outcome = gen3r("export", tmp_path / "empty", "--format", asked, "--out", tmp_path / "out")
    if asked == "all":
        assert (outcome.code, names(tmp_path / "out")) == (0, {"cameras.json"})
        assert outcome.stderr.startswith("gen3r: warning: glb-mesh is left out: ")
    else:
        assert outcome.code == 2
        assert not (tmp_path / "out").exists()
    assert len(outcome.stderr.splitlines()) == 1


def test_a_scene_that_tells_nothing_of_its_making_is_exported(tmp_path: Path, gen3r: Runner) -> None:
    dataclasses.replace(room_scene(1, 20, 26), provenance={"settings": None}).save(tmp_path / "scene")
    assert gen3r("export", tmp_path / "scene", "--format", "ply", "--out", tmp_path / "out").code == 0


def test_a_name_that_is_almost_right_is_recognised(tmp_path: Path, gen3r: Runner, scene: Path) -> None:
    outcome = gen3r("export", scene, "--format", "nerf-studio", "--out", tmp_path / "out")
    assert outcome.stderr.startswith("gen3r: error: unknown export format 'nerf-studio'; did you mean nerfstudio? the ")
