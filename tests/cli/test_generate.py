import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cli.conftest import FRAMES, SIDE, write_photo
from cli.running import Runner
from gen3r.cameras.cameras import Cameras
from gen3r.cli.camera_paths import resolve_cameras
from gen3r.cli.views import read_pictures
from gen3r.scene.camera_files import write_cameras
from gen3r.scene.scene import Scene

FILES = {
    "scene.safetensors",
    "scene.json",
    "rgb.mp4",
    "depth.mp4",
    "depth",
    "points.ply",
    "scene.glb",
    "cameras.json",
    "preview.png",
}


def test_one_photo_to_a_whole_folder_in_its_own_process(tmp_path: Path, model: Path, photo: Path) -> None:
    out = tmp_path / "deep" / "scene"
    command = [sys.executable, "-m", "gen3r.cli", "generate", photo, "--model", model, "--device", "cpu", "--out", out]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert {path.name for path in out.iterdir()} >= FILES
    assert str(out / "preview.png") in result.stdout.splitlines()[-1]
    assert [path.name for path in out.parent.iterdir()] == ["scene"]


def test_seed_views_and_cameras_are_followed(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    views = [write_photo(tmp_path / f"{index}.png", seed=index) for index in range(2)]
    poses = torch.eye(4).repeat(FRAMES, 1, 1)
    poses[:, 0, 3] = torch.linspace(0, -0.2, FRAMES)
    write_cameras(tmp_path / "cameras.json", Cameras.from_fov(poses, 1.0, 120, 150))
    common = [
        "generate",
        *views,
        "--model",
        model,
        "--device",
        "cpu",
        "--at",
        1,
        3,
        "--cameras",
        tmp_path / "cameras.json",
    ]
    seeds = {"a": 4, "b": 4, "c": 5}
    for name, seed in seeds.items():
        outcome = gen3r(*common, "--seed", seed, "--steps", 1, "--camera-scale", 2.0, "--out", tmp_path / name)
        assert (outcome.code, outcome.stderr) == (0, "")
    a, b, c = (Scene.load(tmp_path / name) for name in seeds)
    outcome = gen3r(*common, "--steps", 1, "--scene-cameras", "requested", "--out", tmp_path / "d")
    assert (outcome.code, outcome.stderr) == (0, "")
    asked = Scene.load(tmp_path / "d").cameras.centers
    torch.testing.assert_close(asked[:, 0], torch.linspace(0, 0.2, FRAMES), atol=1e-4, rtol=1e-4)
    assert torch.equal(a.rgb, b.rgb)
    assert torch.equal(a.depth, b.depth)
    assert not torch.equal(a.depth, c.depth)
    assert a.provenance["settings"]["views_at"] == [1, 3]
    assert a.provenance["settings"]["seed"] == 4
    assert a.provenance["settings"]["steps"] == 1
    assert {path.name for path in (tmp_path / "a" / "views").iterdir()} == {"frame00001.png", "frame00003.png"}


def test_words_alone_are_enough(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    outcome = gen3r("generate", "--prompt", "a red ball", "--model", model, "--steps", 1, "--out", tmp_path / "scene")
    assert outcome.code == 0
    assert Scene.load(tmp_path / "scene").provenance["settings"]["prompt"] == "a red ball"


def test_a_folder_stands_for_its_frames(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(FRAMES + 2):
        write_photo(folder / f"{index}.png", seed=index)
    outcome = gen3r("generate", folder, "--model", model, "--steps", 1, "--out", tmp_path / "scene")
    assert outcome.code == 0
    assert Scene.load(tmp_path / "scene").provenance["settings"]["views_at"] == list(range(FRAMES))


@pytest.mark.parametrize(("given", "expected"), [((), [0, 2, 4]), (("--at", 3, 0, 1), [0, 1, 3])])
def test_a_folder_of_fewer_pictures_is_spread_over_the_clip(
    tmp_path: Path, gen3r: Runner, model: Path, given: tuple[object, ...], expected: list[int]
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        write_photo(folder / f"{index}.png", seed=index)
    outcome = gen3r("generate", folder, *given, "--model", model, "--steps", 1, "--out", tmp_path / "scene")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert Scene.load(tmp_path / "scene").provenance["settings"]["views_at"] == expected


def test_pictures_are_cropped_as_they_are_read(tmp_path: Path) -> None:
    write_photo(tmp_path / "large.png", seed=0, height=600, width=800)
    write_photo(tmp_path / "small.png", seed=1)
    read = read_pictures([str(tmp_path / name) for name in ("large.png", "small.png")], size=(28, 42), max_frames=1)
    assert read.images.shape == (2, 3, 28, 42)


def test_official_camera_files_are_for_560_pixels_whatever_the_views_are(tmp_path: Path) -> None:
    record = {"extrinsics": torch.eye(4).repeat(FRAMES, 1, 1).tolist()}
    record["intrinsics"] = torch.tensor([[500.0, 0, 280], [0, 500, 280], [0, 0, 1]]).repeat(FRAMES, 1, 1).tolist()
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps(record))
    cameras = resolve_cameras(str(path), FRAMES)
    assert isinstance(cameras, Cameras)
    assert (cameras.height, cameras.width) == (560, 560)


def test_a_video_stands_for_its_frames_and_is_reconstructed(
    tmp_path: Path, gen3r: Runner, model: Path, photo: Path
) -> None:
    made = gen3r("generate", photo, "--model", model, "--steps", 1, "--out", tmp_path / "first")
    assert made.code == 0
    video = tmp_path / "first" / "rgb.mp4"
    assert gen3r("generate", video, "--model", model, "--steps", 1, "--out", tmp_path / "second").code == 0
    assert Scene.load(tmp_path / "second").provenance["settings"]["views_at"] == list(range(FRAMES))
    assert gen3r("reconstruct", video, "--model", model, "--frames", 3, "--out", tmp_path / "third").code == 0
    scene = Scene.load(tmp_path / "third")
    assert (scene.frames, scene.height, scene.width) == (3, SIDE, SIDE)
    assert scene.provenance["kind"] == "reconstructed"


def test_a_longer_camera_path_is_sampled_and_said_so(tmp_path: Path, gen3r: Runner, model: Path, photo: Path) -> None:
    poses = torch.eye(4).repeat(2 * FRAMES - 1, 1, 1)
    write_cameras(tmp_path / "long.json", Cameras.from_fov(poses, 1.0, 120, 150))
    outcome = gen3r(
        "generate",
        photo,
        "--model",
        model,
        "--steps",
        1,
        "--cameras",
        tmp_path / "long.json",
        "--out",
        tmp_path / "scene",
    )
    assert outcome.code == 0
    assert "holds 9 cameras: 5 of them" in outcome.stdout


def test_parts_of_a_scene_are_made_again(tmp_path: Path, gen3r: Runner, model: Path, photo: Path) -> None:
    scene = tmp_path / "scene"
    assert gen3r("generate", photo, "--model", model, "--steps", 1, "--out", scene).code == 0
    before = json.loads((scene / "cameras.json").read_text())
    (scene / "cameras.json").unlink()
    outcome = gen3r("export", scene, "--format", "cameras", "points.ply")
    assert outcome.code == 0
    assert {Path(line).name for line in outcome.stdout.split()} == {"cameras.json", "points.ply"}
    assert json.loads((scene / "cameras.json").read_text()) == before
    assert gen3r("export", scene, "--format", "ply", "--out", tmp_path / "copy").code == 0
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["points.ply"]
