"""Commands that work over many items do so on Ray as in processes, with the same result."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cli.running import Runner
from gen3r.data.dataset import ClipDataset
from gen3r.jobs.scenes.collection import read_manifest
from jobs.processes import environment, python
from prepare.captioning.tiny_vlm import write_vlm

CLIPS, FRAMES = 2, 17
ALL = "GEN3R_CLUSTER_TESTS"
"""Environment variable: 1 tries every command, in processes too, which takes minutes."""


def results(out: Path, backend: str, *commands: list[object]) -> list[int]:
    """Exit codes of commands in a process of its own."""
    plain = json.dumps([[str(word) for word in [*command, "--workers", 2]] for command in commands])
    line = [str(word) for word in python("-m", "jobs.commands", backend, plain)]
    out.mkdir(exist_ok=True)
    ended = subprocess.run(line, env=environment(), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.fixture
def raw(tmp_path: Path, gen3r: Runner) -> Path:
    """Clips of ``gen3r synth`` in a pack."""
    folder = tmp_path / "raw"
    folder.mkdir()
    words = ("synth", "--count", CLIPS, "--frames", FRAMES, "--size", "112x112", "--samples", 1, "--device", "cpu")
    assert gen3r(*words, "--pack", "--out", folder / "pack.safetensors").code == 0
    return folder


def check_clips(ours: Path, theirs: Path) -> None:
    datasets = [ClipDataset.open(folder) for folder in (ours, theirs)]
    assert len(datasets[0]) == CLIPS
    for mine, other in zip(*datasets, strict=True):
        assert mine.record == other.record
        assert mine.captions == other.captions
        assert torch.equal(mine.rgb([0, 3]), other.rgb([0, 3]))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_converting_on_ray_is_converting_here(tmp_path: Path, gen3r: Runner, raw: Path) -> None:
    words = ["data", "convert", "synthetic", raw]
    assert gen3r(*words, tmp_path / "here").code == 0
    assert results(tmp_path / "ray", "ray", [*words, tmp_path / "ray" / "clips"]) == [0]
    check_clips(tmp_path / "here", tmp_path / "ray" / "clips")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.environ.get(ALL) != "1", reason=f"takes minutes; {ALL}=1 runs it")
def test_every_command_does_the_same_in_processes_and_on_ray(tmp_path: Path, raw: Path, model: Path) -> None:
    vlm, prompts = write_vlm(tmp_path / "vlm"), tmp_path / "prompts.jsonl"
    prompts.write_text('{"id": "a", "prompt": "a ball"}\n{"id": "b", "prompt": "a room"}\n')

    def made(backend: str) -> Path:
        out = tmp_path / backend
        clips, network = out / "clips", ["--model", model, "--device", "cpu"]
        encoded = ["--out", out / "latents", "--frames", 5, "--size", "112x112", "--split", "all", "--shard-clips", 1]
        codes = results(
            out,
            backend,
            ["data", "convert", "synthetic", raw, clips],
            ["data", "check", clips],
            ["data", "caption", clips, "--model", vlm, "--replace-given", "--frames", "2", "--device", "cpu"],
            ["data", "encode", clips, *encoded, *network],
            ["generate", "--batch", prompts, "--out", out / "scenes", "--steps", "1", *network],
        )
        assert [codes[0], *codes[2:]] == [0, 0, 0, 0]
        assert codes[1] in (0, 1)  # 1: a clip is found bad
        return out

    local, ray = made("local"), made("ray")
    check_clips(local / "clips", ray / "clips")
    assert {record.caption_kind for record in ClipDataset.open(local / "clips").records} == {"model"}
    checks = [json.loads((out / "clips" / "check.json").read_text()) for out in (local, ray)]
    assert checks[0] == checks[1] | {"dataset": checks[0]["dataset"]}
    shards = sorted(path.name for path in (local / "latents").glob("*.safetensors"))
    assert len(shards) == CLIPS
    for shard in shards:
        ours, theirs = (load_file(out / "latents" / shard) for out in (local, ray))
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            torch.testing.assert_close(value, theirs[name], rtol=1e-2, atol=1e-2)
    manifests = [read_manifest(out / "scenes") for out in (local, ray)]
    assert [(line["id"], line["status"], line["seed"]) for line in manifests[0]] == [
        (line["id"], line["status"], line["seed"]) for line in manifests[1]
    ]
    assert {line["status"] for line in manifests[0]} == {"accepted"}
