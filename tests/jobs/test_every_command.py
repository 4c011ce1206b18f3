"""Every command that works over many items does so in processes and on Ray, with the same result."""

import json
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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_processes_and_ray_do_the_same(
    tmp_path: Path, gen3r: Runner, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    raw, prompts = tmp_path / "raw", tmp_path / "prompts.jsonl"
    raw.mkdir()
    words = ("synth", "--count", CLIPS, "--frames", FRAMES, "--size", "112x112", "--samples", 1, "--device", "cpu")
    assert gen3r(*words, "--pack", "--out", raw / "pack.safetensors").code == 0
    vlm = write_vlm(tmp_path / "vlm")
    prompts.write_text('{"id": "a", "prompt": "a ball"}\n{"id": "b", "prompt": "a room"}\n')

    def results(backend: str) -> Path:
        out = tmp_path / backend
        clips, network = out / "clips", ["--model", model, "--device", "cpu"]
        encoded = ["--out", out / "latents", "--frames", 5, "--size", "112x112", "--split", "all", "--shard-clips", 1]
        commands = [
            ["data", "convert", "synthetic", raw, clips],
            ["data", "check", clips],
            ["data", "caption", clips, "--model", vlm, "--replace-given", "--frames", "2", "--device", "cpu"],
            ["data", "encode", clips, *encoded, *network],
            ["generate", "--batch", prompts, "--out", out / "scenes", "--steps", "1", *network],
        ]
        plain = json.dumps([[str(word) for word in [*command, "--workers", 2]] for command in commands])
        line = [str(word) for word in python("-m", "jobs.commands", backend, plain)]
        ended = subprocess.run(line, env=environment(), capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        codes = json.loads(ended.stdout.splitlines()[-1])
        assert [codes[0], *codes[2:]] == [0, 0, 0, 0], ended.stdout + ended.stderr
        assert codes[1] in (0, 1), ended.stderr  # 1: a clip is found bad
        return out

    local, ray = results("local"), results("ray")
    datasets = [ClipDataset.open(out / "clips") for out in (local, ray)]
    assert len(datasets[0]) == CLIPS
    for ours, theirs in zip(*datasets, strict=True):
        assert ours.record == theirs.record
        assert ours.record.caption_kind == "model"
        assert ours.captions == theirs.captions
        assert torch.equal(ours.rgb([0, 3]), theirs.rgb([0, 3]))
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
