"""The official model through the command line, as its stand-in: from a folder, in a profile, both ways of numerics."""

from pathlib import Path

import pytest
import torch

from cli.running import Runner
from gen3r.scene.scene import Scene
from hub.standin import FRAMES, SIDE, build_standin, build_standin_vggt


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_standin(tmp_path_factory.mktemp("official") / "Gen3R")


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in with the tracking head that the public VGGT has."""
    folder = build_standin(tmp_path_factory.mktemp("tracking") / "Gen3R", vggt=False)
    build_standin_vggt(folder / "vggt", track_head=True)
    return folder


def generate(gen3r: Runner, photo: Path, out: Path, model: Path, *more: object) -> Scene:
    outcome = gen3r(
        "generate", photo, "--prompt", "a room", "--model", model, "--out", out, "--frames", FRAMES,
        "--size", f"{SIDE}x{SIDE}", "--steps", 2, *more,
    )  # fmt: skip
    assert outcome.code == 0, outcome.stderr
    return Scene.load(out)


def test_defaults_are_those_of_the_released_model(gen3r: Runner, photo: Path, official: Path, tmp_path: Path) -> None:
    scene = generate(gen3r, photo, tmp_path / "scene", official)
    settings = scene.provenance["settings"]
    assert (scene.frames, scene.height, scene.width) == (FRAMES, SIDE, SIDE)
    assert (settings["guidance"], settings["numerics"], settings["dtype"]) == (5.0, "default", "float32")
    assert (tmp_path / "scene" / "preview.png").is_file()


UNUSED = "gen3r: warning: vggt: 2 tensors of track_head are not used"


def test_tensors_without_a_use_are_told(gen3r: Runner, photo: Path, tracking: Path, tmp_path: Path) -> None:
    arguments = {
        "reconstruct": (photo, "--model", tracking, "--size", f"{SIDE}x{SIDE}", "--out", tmp_path / "scene"),
        "convert": (tracking, tmp_path / "ours"),
    }
    for command, rest in arguments.items():
        outcome = gen3r(command, *rest)
        assert outcome.code == 0, outcome.stderr
        lines = outcome.stderr.splitlines()
        assert lines.count(UNUSED) == 1
        assert sum(line.startswith("image_encoder: ") and "textual" in line for line in lines) == 1
    again = gen3r("convert", tmp_path / "ours", tmp_path / "back")
    assert (again.code, again.stderr) == (0, "")


def test_a_profile_changes_where_things_are_and_not_what_comes_out(
    gen3r: Runner, photo: Path, official: Path, tmp_path: Path
) -> None:
    plain = generate(gen3r, photo, tmp_path / "plain", official)
    held = generate(gen3r, photo, tmp_path / "held", official, "--vram", 12, "--dtype", "float32")
    assert held.provenance["settings"]["memory"] == "12"
    assert torch.equal(held.rgb, plain.rgb)
    assert torch.equal(held.depth, plain.depth)


def test_text_features_are_kept_and_used_again(gen3r: Runner, photo: Path, official: Path, tmp_path: Path) -> None:
    cache = tmp_path / "text"
    first = generate(gen3r, photo, tmp_path / "first", official, "--text-cache", cache)
    kept = {file.name: file.read_bytes() for file in cache.iterdir()}
    assert len(kept) == 2  # the prompt and the negative one
    second = generate(gen3r, photo, tmp_path / "second", official, "--text-cache", cache)
    assert {file.name: file.read_bytes() for file in cache.iterdir()} == kept
    plain = generate(gen3r, photo, tmp_path / "plain", official, "--text-cache", "none")
    for scene in (second, plain):
        assert torch.equal(scene.rgb, first.rgb)


def test_official_numerics_and_speed_options(gen3r: Runner, photo: Path, official: Path, tmp_path: Path) -> None:
    scene = generate(
        gen3r, photo, tmp_path / "scene", official, "--numerics", "official", "--step-cache", "first_block",
        "--guidance-skip", 0.5, "--attention", "native",
    )  # fmt: skip
    settings = scene.provenance["settings"]
    assert settings["numerics"] == "official"
    assert settings["acceleration"] == {
        "compile": False, "attention": "native", "cache": {"name": "first_block", "threshold": 0.05},
        "guidance_skip": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--attention", "fast"), "unknown attention backend 'fast'; expected one of native"),
        (("--guidance-skip", 2), "share of the steps in [0, 1], got 2.0"),
        (("--parallel", "guidance"), "torchrun --nproc-per-node 2"),
        (("--parallel", "guidance", "--device", "cpu"), "a device of its own, got --device cpu too"),
        (("--revision", "main"), "has no revisions"),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_is_loaded(
    gen3r: Runner, photo: Path, official: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    outcome = gen3r("generate", photo, "--model", official, "--out", tmp_path / "scene", *arguments)
    assert outcome.code == 2
    assert message in outcome.stderr
    assert not (tmp_path / "scene").exists()


def test_options_that_do_little_say_so(gen3r: Runner, photo: Path, official: Path, tmp_path: Path) -> None:
    outcome = gen3r(
        "generate", photo, "--model", official, "--out", tmp_path / "scene", "--frames", 1, "--size", f"{SIDE}x{SIDE}",
        "--steps", 2, "--guidance", 1, "--vram", 12, "--step-cache", "taylorseer",
    )  # fmt: skip
    assert outcome.code == 0, outcome.stderr
    assert "there is no GPU in use: --vram 12 changes the networks' type" in outcome.stderr
    assert "taylorseer computes the first 3 steps, and there are only 2" in outcome.stderr
