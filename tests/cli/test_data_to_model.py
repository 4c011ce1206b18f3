"""From every dataset as downloaded to a trained model and a scene, by the commands of docs/training.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.running import Runner
from data.converters.raw_trees import TREES
from gen3r.cli.data.convert import POSES
from gen3r.data.converters.registry import load_converter
from gen3r.data.dataset import ClipDataset
from gen3r.scene.scene import Scene
from gen3r.train.hooks import read_log
from gen3r.train.latents import open_latents

STEPS = 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_raw_dataset_ends_in_a_trained_model_and_a_scene(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POSES, "pycolmap", "data.converters.raw_captures:KnownPoses")
    monkeypatch.chdir(tmp_path)
    gen3r = Runner(capsys)

    def run(*words: object) -> str:
        outcome = gen3r(*words)
        assert outcome.code == 0, (words, outcome)
        return outcome.stdout

    datasets = []
    for name, tree in TREES.items():
        raw = tmp_path / "raw" / name
        raw.mkdir(parents=True)
        tree.write(raw)
        run("data", "convert", name, raw, f"clips/{name}", *tree.options)
        run("data", "caption", f"clips/{name}", "--source", "labels")
        datasets.append(f"clips/{name}")
    trained = [record for folder in datasets for record in ClipDataset.open(folder).records if record.split == "train"]
    assert {record.source for record in trained} == {load_converter(name).name for name in TREES}

    stage = ("--preset", "tiny", "--steps", STEPS, "--batch-size", 1)
    run("train", "adapter", *stage, "--data", *datasets, "--networks", "tiny", "--out", "adapter")
    run("data", "encode", *datasets, "--networks", "adapter", "--out", "latents")
    latents = open_latents(tmp_path / "latents", None)
    assert (len(latents), latents.has_text) == (len(trained), True)
    run("train", "diffusion", *stage, "--data", "latents", "--networks", "adapter", "tiny", "--out", "diffusion")
    for log in (read_log(tmp_path / "adapter"), read_log(tmp_path / "diffusion")):
        assert log[-1]["step"] == STEPS
    run("models", "assemble", "diffusion", "adapter", "tiny", "--preset", "tiny", "--name", "mine", "--out", "mine")
    picture = next((tmp_path / "clips" / "video").glob("*/frames/*"))
    run("generate", picture, "--model", "mine", "--cameras", "orbit_right", "--out", "scene")
    assert Scene.load(tmp_path / "scene").frames == 9
    provenance = json.loads((tmp_path / "scene" / "scene.json").read_text())["provenance"]
    assert provenance["model"] == "mine"
