"""A file of requests becomes a folder of scenes, once each."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from cli.conftest import FRAMES, SIDE, write_photo
from cli.running import Runner
from gen3r.data.dataset import ClipDataset
from gen3r.jobs.scenes.collection import read_manifest
from gen3r.scene.scene import Scene

SCENE_FILES = {"scene.safetensors", "rgb.mp4", "depth.mp4", "points.ply", "cameras.json", "preview.png", "made.json"}


def write_lines(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def stamps(out: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/*/scene.safetensors")}


def test_lines_become_scenes_and_clips_once(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    write_photo(tmp_path / "photo.png", seed=0)
    photo = write_photo(tmp_path / "no.jpg", seed=1).read_bytes()
    (tmp_path / "no.jpg").write_bytes(photo[: len(photo) // 2])
    ball = {"id": "ball", "prompt": "a red ball", "images": ["photo.png"], "trajectory": "orbit_right", "seed": 3}
    room, same = {"id": "room", "prompt": "a room"}, {"id": "same", **{k: ball[k] for k in ball if k != "id"}}
    batch = write_lines(tmp_path / "prompts.jsonl", {"id": "bad", "images": ["no.jpg"]}, ball, room, same)
    out = tmp_path / "out"
    common = ("--model", model, "--device", "cpu", "--steps", 1, "--out", out)
    outcome = gen3r("generate", "--batch", batch, *common, "--as-clips", "--duplicate-bits", 0)
    assert outcome.code == 2
    assert "1 scenes could not be made, such as bad: " in outcome.stderr
    assert "2 accepted, 1 duplicate, 1 failed of 4 requests" in outcome.stdout

    manifest = {line["id"]: line for line in read_manifest(out)}
    assert [manifest[name]["status"] for name in ("ball", "room", "same")] == ["accepted", "accepted", "duplicate"]
    assert manifest["bad"]["status"] == "failed"
    assert "no.jpg" in manifest["bad"]["reason"]
    assert manifest["same"]["same_as"] == "ball"
    told = manifest["ball"]
    assert (told["seed"], told["folder"], told["frames"], told["size"]) == (3, "scenes/ball", FRAMES, [SIDE, SIDE])
    assert set(told["files"]) >= SCENE_FILES
    assert told["seconds"] > 0
    assert 0 <= told["quality"]["agreement"] <= 1
    for name in ("ball", "room"):
        scene = Scene.load(out / "scenes" / name)
        assert scene.provenance["settings"]["seed"] == manifest[name]["seed"]
    assert (out / "scenes" / "ball" / "views" / "frame00000.png").exists()

    clips = ClipDataset.open(out / "clips")
    assert list(clips.names) == ["ball", "room"]
    clip, scene = clips[0], Scene.load(out / "scenes" / "ball")
    assert clip.captions == ("a red ball",)
    depth = clip.depth([0, 1])
    assert depth is not None
    torch.testing.assert_close(
        depth, scene.depth[:2].where(scene.mask[:2], 0.0), rtol=0, atol=float(scene.depth.max()) / 6e4
    )
    torch.testing.assert_close(clip.cameras.extrinsics, scene.cameras.extrinsics)

    before = stamps(out)
    write_photo(tmp_path / "no.jpg", seed=1)
    outcome = gen3r("generate", "--batch", batch, *common)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "1 done, 2 done before" in outcome.stdout
    after = stamps(out)
    assert after.keys() - before.keys() == {"bad"}
    assert after.items() > before.items()  # the same files as before


def test_thresholds_judge_what_is_there_again(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    batch = write_lines(tmp_path / "prompts.jsonl", {"id": "a", "prompt": "a ball"})
    out = tmp_path / "out"
    common = ("generate", "--batch", batch, "--model", model, "--device", "cpu", "--steps", 1, "--out", out)
    assert "1 rejected of 1" in gen3r(*common, "--max-color-error", 0.0, "--as-clips").stdout
    assert not (out / "scenes" / "a").exists()
    assert not (out / "clips").exists()
    line = read_manifest(out)[0]
    assert (line["folder"], line["status"]) == ("rejected/a", "rejected")
    assert "at most 0 asked for" in line["reason"]
    before = stamps(out)
    assert "1 accepted of 1" in gen3r(*common, "--as-clips").stdout
    assert stamps(out) == before
    assert len(ClipDataset.open(out / "clips")) == 1

    outcome = gen3r(*common, "--max-color-error", 0.0, "--drop-rejected")
    assert "1 rejected of 1" in outcome.stdout
    assert [path.name for path in (out / "rejected" / "a").iterdir()] == ["made.json"]
    assert not list((out / "clips").iterdir())
    outcome = gen3r(*common)
    assert "1 removed of 1" in outcome.stdout
    assert "delete the folder" in read_manifest(out)[0]["reason"]


def test_the_order_of_lines_does_not_matter_and_what_is_gone_from_the_file_is_put_aside(
    tmp_path: Path, gen3r: Runner, model: Path
) -> None:
    twins = [{"id": name, "prompt": "a ball"} for name in ("a", "b", "c")]
    lines, out = [*twins, {"id": "room", "prompt": "a room"}], tmp_path / "out"
    batch = write_lines(tmp_path / "prompts.jsonl", *lines)
    command = ("generate", "--batch", batch, "--model", model, "--device", "cpu", "--steps", 1, "--out", out)
    assert "2 accepted, 2 duplicate of 4" in gen3r(*command, "--as-clips").stdout
    before = stamps(out)

    write_lines(batch, *lines[::-1])
    told = gen3r(*command, "--as-clips").stdout
    assert "0 done, 2 done before" in told
    assert "2 accepted, 2 duplicate of 4" in told
    assert stamps(out) == before
    assert {line["id"]: line["same_as"] for line in read_manifest(out)} == {"room": None, "c": "a", "b": "a", "a": None}

    shutil.copytree(out / "scenes" / "a", out / "scenes" / "b")  # as earlier versions left them
    shutil.copytree(out / "clips" / "a", out / "clips" / "b")
    shutil.copytree(out / "clips" / "a", out / "clips" / "mine")
    record = out / "clips" / "mine" / "scene.json"
    record.write_text(record.read_text().replace("gen3r generate", "me"))
    write_lines(batch, *twins[::-1])  # the room is gone
    told = gen3r(*command, "--as-clips").stdout
    assert "1 accepted, 2 duplicate of 3" in told
    assert "2 scenes of earlier runs" in told
    manifest = read_manifest(out)
    assert [(line["id"], line["status"], line.get("folder")) for line in manifest] == [
        ("c", "duplicate", None),
        ("b", "accepted", "scenes/b"),
        ("a", "duplicate", "rejected/a"),
        ("room", "unasked", "rejected/room"),
    ]
    assert [path.name for path in (out / "scenes").iterdir()] == ["b"]
    assert sorted(path.name for path in (out / "clips").iterdir()) == ["b", "mine"]
    shutil.rmtree(record.parent)
    assert all((out / line["folder"]).is_dir() for line in manifest if "folder" in line)

    write_lines(batch, {"id": "new", "prompt": "a ball"}, {"id": "room", "prompt": "a room"})
    told = gen3r(*command, "--as-clips").stdout
    assert "0 done, 2 done before" in told
    assert sorted(path.name for path in (out / "scenes").iterdir()) == ["new", "room"]
    assert list(ClipDataset.open(out / "clips").names) == ["new", "room"]
    assert read_manifest(out)[0]["folder"] == "scenes/new"


def test_wrong_lines_and_options_are_told_before_any_work(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    good = write_lines(tmp_path / "good.jsonl", {"prompt": "a ball"})
    bad = write_lines(tmp_path / "bad.jsonl", {"prompt": "a ball"}, {"prompt": "a", "frames": 2})
    off = write_lines(tmp_path / "off.jsonl", {"id": "odd", "prompt": "a ball", "size": "100x112"})
    out = tmp_path / "out"
    wrong: list[tuple[tuple[object, ...], str]] = [
        (("--batch", bad), "line 2: frames must be a whole number 4k+1, got 2"),
        (("--batch", off), "odd: height must be a multiple"),
        (("--batch", good, "--prompt", "a"), "got --prompt too"),
        (("--batch", good, "--ray-address", "auto"), "expects --backend ray"),
        (("--batch", good, "--min-agreement", 2), "min_agreement between 0 and 1"),
        (("--batch", good, "--device", "cuda:0", "--workers", 2), "use --device cuda"),
        (("--batch", good, "--parallel", "guidance"), "--workers"),
        (("--prompt", "a", "--workers", 2), "--workers goes with --batch FILE"),
        (("--prompt", "a", "--as-clips"), "--as-clips goes with --batch FILE"),
    ]
    for words, told in wrong:
        outcome = gen3r("generate", *words, "--model", model, "--out", out)
        assert (outcome.code, told in outcome.stderr) == (2, True), outcome.stderr
        assert not out.exists()


def test_a_folder_is_of_one_model_and_its_names_of_one_request(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    batch, out = write_lines(tmp_path / "prompts.jsonl", {"id": "a", "prompt": "a ball"}), tmp_path / "out"
    command = ("generate", "--batch", batch, "--device", "cpu", "--steps", 1, "--out", out)
    assert gen3r(*command, "--model", model).code == 0
    assert "were made with model" in gen3r(*command, "--model", "tiny").stderr
    write_lines(batch, {"id": "a", "prompt": "a room"})
    assert "was made from another request" in gen3r(*command, "--model", model).stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    outcome = gen3r(*command[:-1], tmp_path / "full", "--model", model)
    assert "holds no batch of scenes" in outcome.stderr


@pytest.mark.slow
def test_workers_make_the_same_scenes(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    batch = write_lines(tmp_path / "prompts.jsonl", {"id": "a", "prompt": "a ball"}, {"id": "b", "prompt": "a room"})
    common = ("generate", "--batch", batch, "--model", model, "--device", "cpu", "--steps", 1)
    assert gen3r(*common, "--out", tmp_path / "one").code == 0
    assert gen3r(*common, "--out", tmp_path / "more", "--workers", 2).code == 0
    for name in "ab":
        one, more = (Scene.load(tmp_path / out / "scenes" / name) for out in ("one", "more"))
        torch.testing.assert_close(one.depth, more.depth, rtol=1e-4, atol=1e-4)
        assert (one.rgb.int() - more.rgb.int()).abs().max() <= 1
