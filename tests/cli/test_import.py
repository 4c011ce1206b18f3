"""`gen3r import`, and cameras of other programs for `gen3r generate`."""

from pathlib import Path

import pytest
import torch

from cli.running import Runner
from gen3r.cameras.cameras import Cameras
from gen3r.cli.camera_paths import check_cameras, resolve_cameras
from gen3r.scene.export.registry import find_formats
from gen3r.scene.export.source import ExportSource
from gen3r.scene.scene import Scene
from scene.rooms import room_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return room_scene(5, 24, 32)


@pytest.fixture(scope="module")
def exports(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    for item in find_formats(["colmap", "nerfstudio", "tum", "cameras"]):
        item.writer()(ExportSource(scene), folder)
    return folder


def test_what_was_exported_is_a_scene_again(exports: Path, tmp_path: Path, gen3r: Runner) -> None:
    outcome = gen3r("import", exports / "colmap", "--size", "20x20", "--frames", 2, "--out", tmp_path / "scene")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "2 frames of 20x20" in outcome.stdout
    made = Scene.load(tmp_path / "scene")
    assert (made.frames, made.height, made.width) == (2, 20, 20)
    again = gen3r("export", tmp_path / "scene", "--format", "ply", "--out", tmp_path / "again")
    assert (again.code, again.stderr) == (0, "")
    twice = gen3r("import", tmp_path / "scene", "--out", tmp_path / "twice")
    assert (twice.code, "is a scene already" in twice.stderr) == (2, True)


def test_generate_follows_cameras_of_other_programs(scene: Scene, exports: Path) -> None:
    for name in ("colmap", "nerfstudio", "trajectory.txt", "cameras.json", "."):
        check_cameras(str(exports / name))
        cameras = resolve_cameras(str(exports / name), 5)
        assert isinstance(cameras, Cameras)
        torch.testing.assert_close(cameras.extrinsics, scene.cameras.extrinsics, atol=1e-5, rtol=0)
        torch.testing.assert_close(cameras.intrinsics, scene.cameras.intrinsics, atol=1e-5, rtol=0)


def test_more_cameras_than_frames_are_sampled(scene: Scene, exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cameras = resolve_cameras(str(exports / "colmap"), 3)
    assert isinstance(cameras, Cameras)
    torch.testing.assert_close(cameras.centers, scene.cameras.centers[::2], atol=1e-5, rtol=0)
    assert "holds 5 cameras: 3 of them, evenly spread, are used" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nothing at nowhere"),
        (["{}"], "holds no cameras that are known"),
        (["{}", "--frames", "0"], "--frames expects at least 1"),
        (["{}", "--size", "big"], "big"),
    ],
)
def test_one_line_says_what_is_wrong(arguments: list[str], message: str, tmp_path: Path, gen3r: Runner) -> None:
    (tmp_path / "empty").mkdir()
    named = [word.format(tmp_path / "empty") for word in arguments]
    outcome = gen3r("import", *named, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
