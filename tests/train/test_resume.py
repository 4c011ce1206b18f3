"""A run that is killed at a random moment and resumed ends bit for bit where an uninterrupted one ends."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gen3r.train.checkpoint import list_checkpoints, read_tensors
from gen3r.train.hooks import read_log
from train.tiny_run import write_pack

PROGRAM = Path(__file__).with_name("tiny_run.py")
STEPS = 24


def start(pack: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, PROGRAM, pack, out, str(STEPS), *options], env=environment)


def curve(run: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in read_log(run)]


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack.safetensors")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    reference = start(pack, whole)
    victim = start(pack, broken)
    while not list_checkpoints(broken):
        assert victim.poll() is None, "the run ended before its first checkpoint"
        time.sleep(0.005)
    time.sleep(random.random() * 0.3)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (broken / "export").exists(), "killed too late to show anything"
    assert start(pack, broken, "resume").wait() == 0
    assert reference.wait() == 0

    assert curve(whole) == curve(broken)
    assert [line["step"] for line in curve(broken)] == list(range(1, STEPS + 1))
    exports = [load_file(run / "export/vae/model.safetensors") for run in (whole, broken)]
    checkpoints = [read_tensors(list_checkpoints(run)[-1], "") for run in (whole, broken)]
    for expected, got in (exports, checkpoints):
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[key], got[key]) for key in expected)
