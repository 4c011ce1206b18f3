"""Two processes train one model: as one process would, and through every accident."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from gen3r.train.checkpoint import list_checkpoints, read_facts, read_tensors
from gen3r.train.hooks import read_log
from train.tiny_flow import LOOP, RandomLatents, flow

PROGRAM = Path(__file__).with_name("tiny_flow.py")
NARROW: dict[str, Any] = {"precision": "bf16", "validate_every": 3, "validation_batches": 3, "sample_every": 3}
PREFIXES = ("weights.", "average.", "optimizer.")


def start(folder: Path, orders: list[dict[str, Any]]) -> list[subprocess.Popen[str]]:
    """Two processes that do what ``orders`` say, one run after the other."""
    folder.mkdir()
    (folder / "orders.json").write_text(json.dumps(orders, default=str))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    paths = [str(PROGRAM.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    shared |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, str(PROGRAM), str(folder / "orders.json")]
    return [
        subprocess.Popen(
            command,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> list[str]:
    """What they wrote to the terminal."""
    return [process.communicate(timeout=200)[1] for process in processes]


def tensors(checkpoint: Path) -> dict[str, torch.Tensor]:
    return {prefix + name: value for prefix in PREFIXES for name, value in read_tensors(checkpoint, prefix).items()}


def assert_equal(one: Path, other: Path, tolerance: float = 0.0) -> None:
    """Weights, averages and moments of two checkpoints."""
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name].view(value.shape), value, rtol=tolerance, atol=tolerance, msg=name)


def at(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:09d}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that lost a process, then every run that the tests look at. What was told is in told-<rank>.json."""
    folder = tmp_path_factory.mktemp("runs")
    flow(folder / "alone", accumulate=2).run()
    flow(folder / "narrow alone", accumulate=2, **NARROW).run()

    killed = {"out": folder / "killed", "sharding": "fsdp2", "slow": 0.05, "steps": 200}
    processes = start(folder / "first", [killed])
    while len(list_checkpoints(folder / "killed")) < 1:
        assert all(process.poll() is None for process in processes), finish(processes)
        time.sleep(0.01)
    processes[1].send_signal(signal.SIGKILL)
    (folder / "last words").write_text(finish(processes)[0])
    for later in list_checkpoints(folder / "killed")[1:]:
        shutil.rmtree(later)

    shutil.copytree(folder / "killed", folder / "resharded")
    flow(folder / "resharded", resume=True, accumulate=2).run()
    shutil.copytree(folder / "alone", folder / "doubled")
    for later in (at(folder / "resharded", 6), at(folder / "doubled", 4), at(folder / "doubled", 6)):
        shutil.rmtree(later)

    orders: list[dict[str, Any]] = [
        {"out": folder / "replicas", "straggler_every": 3, "slow": 0.1},
        {"out": folder / "shards", "sharding": "fsdp2", "recompute": True, "prefetch": 2},
        {"out": folder / "killed", "sharding": "fsdp2", "recompute": True, "resume": True},
        {"out": folder / "resharded", "sharding": "fsdp2", "resume": True},
        {"out": folder / "doubled", "resume": True},
        {"out": folder / "narrow", "sharding": "fsdp2", **NARROW},
        {"out": folder / "full disk", "sharding": "fsdp2", "full_disk": True},
        {"out": folder / "nan", "sharding": "fsdp2", "bad": BAD_ITEM},
        {"out": folder / "left out", "bad": BAD_ITEM, "skip_nonfinite": 1},
    ]
    processes = start(folder / "second", orders)
    words = finish(processes)
    assert [process.returncode for process in processes] == [0, 0], words
    (folder / "words").write_text("\n".join(words))
    return folder


BAD_STEP, BAD_RANK = 3, 1
BAD_ITEM = RandomLatents(1).order.items(2 * BAD_STEP + BAD_RANK, 1)[0]


def told(runs: Path, name: str) -> list[dict[str, Any]]:
    """How both processes ended a run."""
    names = [Path(order["out"]).name for order in json.loads((runs / "second" / "orders.json").read_text())]
    return [json.loads((runs / "second" / f"told-{rank}.json").read_text())[names.index(name)] for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["replicas", "shards"])
def test_two_processes_lose_what_one_loses_with_accumulation(runs: Path, name: str) -> None:
    alone, together = read_log(runs / "alone"), read_log(runs / name)
    assert [line["step"] for line in together] == list(range(1, LOOP.steps + 1))  # one of them writes
    for one, other in zip(alone, together, strict=True):
        assert other["total"] == pytest.approx(one["total"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["replicas", "shards"])
def test_two_processes_end_with_the_weights_and_averages_of_one(runs: Path, name: str) -> None:
    for prefix in ("weights.", "average."):
        alone, together = (read_tensors(at(runs / run, LOOP.steps), prefix) for run in ("alone", name))
        assert alone.keys() == together.keys()
        for key, value in alone.items():
            torch.testing.assert_close(together[key], value, rtol=1e-3, atol=1e-4)  # Adam enlarges rounding
    averages, weights = (read_tensors(at(runs / name, LOOP.steps), prefix) for prefix in ("average.", "weights."))
    assert any(not torch.equal(value, weights[f"networks.{key}"]) for key, value in averages.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["replicas", "shards"])
def test_the_export_is_the_average(runs: Path, name: str) -> None:
    from gen3r.hub.folder import load_network
    from gen3r.models.transformer import JointTransformer, TransformerConfig

    exported = load_network(JointTransformer, TransformerConfig, runs / name / "export" / "transformer").state_dict()
    average = read_tensors(at(runs / name, LOOP.steps), "average.")
    assert {f"transformer.{key}" for key in exported} == average.keys()
    for key, value in exported.items():
        torch.testing.assert_close(value, average[f"transformer.{key}"].view(value.shape), rtol=0, atol=0)


@pytest.mark.slow
def test_bfloat16_is_shared_and_validated(runs: Path) -> None:
    ends = [read_log(runs / run) for run in ("narrow alone", "narrow")]
    assert [line["step"] for line in ends[1] if "val/total" in line] == [3, 6]
    for one, other in zip(*ends, strict=True):
        name = "total" if "total" in one else "val/total"
        assert other[name] == pytest.approx(one[name], rel=1e-2)
    weights = read_tensors(at(runs / "narrow", LOOP.steps), "weights.")
    assert {value.dtype for value in weights.values()} == {torch.float32}


@pytest.mark.slow
def test_a_process_that_lost_the_other_says_so(runs: Path) -> None:
    words = (runs / "last words").read_text()
    lost = re.search(r"LostProcessError: rank 0 on \S+ heard nothing of another process in step (\d+):", words)
    assert lost is not None, words
    assert int(lost[1]) >= 2  # not the one it started with
    assert "go on with --resume" in words


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(runs: Path) -> None:
    assert_equal(at(runs / "shards", LOOP.steps), at(runs / "killed", LOOP.steps))
    lines = [{key: value for key, value in line.items() if key != "seconds"} for line in read_log(runs / "killed")]
    assert [line["step"] for line in lines] == list(range(1, LOOP.steps + 1))
    assert lines[2:] == [
        {key: value for key, value in line.items() if key != "seconds"} for line in read_log(runs / "shards")[2:]
    ]


@pytest.mark.slow
def test_checkpoints_go_from_two_to_one_to_two(runs: Path) -> None:
    assert len(list(at(runs / "resharded", 2).glob("shard-*-of-00002.safetensors"))) == 2
    assert len(list(at(runs / "resharded", 4).glob("shard-*-of-00001.safetensors"))) == 1
    assert len(list(at(runs / "resharded", 6).glob("shard-*-of-00002.safetensors"))) == 2
    for name in ("resharded", "doubled"):
        ends = [read_log(runs / run) for run in ("alone", name)]
        assert [line["total"] for line in ends[1]] == pytest.approx([line["total"] for line in ends[0]], rel=1e-5)
        assert_equal(at(runs / "alone", LOOP.steps), at(runs / name, LOOP.steps), tolerance=1e-3)
        assert read_facts(at(runs / name, 6))["global_batch"] == 2


@pytest.mark.slow
def test_a_full_disk_of_one_process_stops_both(runs: Path) -> None:
    for rank, end in enumerate(told(runs, "full disk")):
        assert end["step"] == 4  # the save of step 2 is waited for
        assert "File too large" in end["error"]
        assert ("rank 1 could not write its part of the checkpoint" in end["error"]) == (rank == 0)
    assert list_checkpoints(runs / "full disk") == []


@pytest.mark.slow
def test_what_is_no_number_on_one_process_stops_both(runs: Path) -> None:
    for end in told(runs, "nan"):
        assert end["step"] == BAD_STEP
        assert f"loss of step {BAD_STEP} is not finite: total" in end["error"]
        assert f"rank {BAD_RANK}, samples item {BAD_ITEM}" in end["error"]
        assert end["finite"]
    assert_equal(at(runs / "shards", 2), at(runs / "nan", 2), tolerance=1e-6)


@pytest.mark.slow
def test_a_step_can_be_left_out_and_is_counted(runs: Path) -> None:
    for end in told(runs, "left out"):
        assert end == {"step": LOOP.steps, "skipped": 1}
    losses = [line["total"] for line in read_log(runs / "left out")]
    assert [loss == loss for loss in losses] == [step != BAD_STEP for step in range(LOOP.steps)]
    assert read_facts(at(runs / "left out", LOOP.steps))["skipped"] == 1


@pytest.mark.slow
def test_a_slow_process_is_named(runs: Path) -> None:
    words = (runs / "words").read_text()
    assert "rank 1 on" in words
    assert "works" in words
    assert "rank 0 on" not in words
