"""Two processes share a model by DeepSpeed's ZeRO-2: what one process learns, and checkpoints that every run reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from gen3r.train.checkpoint import read_facts, read_tensors
from gen3r.train.hooks import read_log
from gen3r.train.processes import Processes
from gen3r.train.zero import EXTRA, Zero
from train.test_processes import BAD_ITEM, BAD_STEP, assert_equal, at, finish, start, tensors
from train.tiny_flow import LOOP, flow

needs_deepspeed = pytest.mark.skipif(
    bool(EXTRA.missing), reason=f"DeepSpeed is not installed (an extra): {EXTRA.remedy}"
)
CHANGED: dict[str, Any] = {
    "betas": (0.8, 0.95),
    "eps": 1e-3,
    "weight_decay": 0.5,
    "lr_factors": (("transformer.blocks.", 0.3),),
    "first_grad_clip": 0.1,
    "grad_clip_warmup": 0.5,
}
"""Settings that all show in the weights."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All runs that the tests look at."""
    folder = tmp_path_factory.mktemp("deepspeed")
    flow(folder / "alone", accumulate=4, **CHANGED).run()
    for name in ("taken over", "resharded"):
        shutil.copytree(folder / "alone", folder / name)
        for later in (at(folder / name, 4), at(folder / name, 6)):
            shutil.rmtree(later)

    narrow = {"sharding": "deepspeed", "precision": "bf16", "accumulate": 2}
    first = [
        {"out": folder / "zero", "sharding": "deepspeed", "accumulate": 2, "recompute": True, **CHANGED},
        {"out": folder / "taken over", "sharding": "deepspeed", "resume": True, **CHANGED},
        {"out": folder / "narrow", **narrow},
        {"out": folder / "no average", "sharding": "deepspeed", "ema_decay": 0.0},
        {"out": folder / "nan", "sharding": "deepspeed", "bad": BAD_ITEM},
        {"out": folder / "left out", "sharding": "deepspeed", "bad": BAD_ITEM, "skip_nonfinite": 1},
    ]
    obeyed(folder / "first", first)

    shutil.copytree(folder / "zero", folder / "back to one")
    shutil.copytree(folder / "narrow", folder / "narrow resumed")
    shutil.copytree(folder / "taken over" / "checkpoints" / "step-000000004", at(folder / "resharded", 4))
    for later in (at(folder / "back to one", 6), at(folder / "narrow resumed", 4), at(folder / "narrow resumed", 6)):
        shutil.rmtree(later)
    flow(folder / "back to one", resume=True, accumulate=4, **CHANGED).run()
    second = [
        {"out": folder / "narrow resumed", "resume": True, **narrow},
        {"out": folder / "resharded", "sharding": "fsdp2", "resume": True, **CHANGED},
    ]
    obeyed(folder / "second", second)
    return folder


def obeyed(folder: Path, orders: list[dict[str, Any]]) -> None:
    """Have two processes do ``orders``, where nothing compiled is at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_EXTENSIONS_DIR", str(folder.with_name("extensions")))
        processes = start(folder, orders)
    words = finish(processes)
    assert [process.returncode for process in processes] == [0, 0], words


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize("name", ["zero", "taken over", "back to one", "resharded"])
def test_all_ways_of_sharing_learn_the_same(runs: Path, name: str) -> None:
    alone, together = read_log(runs / "alone"), read_log(runs / name)
    assert [line["step"] for line in together] == list(range(1, LOOP.steps + 1))
    for one, other in zip(alone, together, strict=True):
        assert other["total"] == pytest.approx(one["total"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
    assert_equal(at(runs / "alone", LOOP.steps), at(runs / name, LOOP.steps), tolerance=1e-4)
    assert read_facts(at(runs / name, LOOP.steps))["global_batch"] == 4


@needs_deepspeed
@pytest.mark.slow
def test_weights_are_float32_behind_bfloat16(runs: Path) -> None:
    weights = read_tensors(at(runs / "narrow", LOOP.steps), "weights.")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    between = [value for value in weights.values() if not torch.equal(value, value.bfloat16().float())]
    assert len(between) > len(weights) / 2
    assert_equal(at(runs / "narrow", LOOP.steps), at(runs / "narrow resumed", LOOP.steps))


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize(("name", "prefix"), [("narrow", "average."), ("no average", "weights.networks.")])
def test_the_export_is_the_average(runs: Path, name: str, prefix: str) -> None:
    from gen3r.hub.folder import load_network
    from gen3r.models.transformer import JointTransformer, TransformerConfig

    exported = load_network(JointTransformer, TransformerConfig, runs / name / "export" / "transformer").state_dict()
    average = read_tensors(at(runs / name, LOOP.steps), prefix)
    assert {f"transformer.{key}" for key in exported} == average.keys()
    for key, value in exported.items():
        torch.testing.assert_close(value, average[f"transformer.{key}"].view(value.shape), rtol=0, atol=0)


@needs_deepspeed
@pytest.mark.slow
def test_what_is_no_number_stops_both_or_is_left_out(runs: Path) -> None:
    for rank in range(2):
        *_, stopped, left_out = json.loads((runs / "first" / f"told-{rank}.json").read_text())
        assert f"loss of step {BAD_STEP} is not finite: total" in stopped["error"]
        assert stopped["finite"]
        assert left_out == {"step": LOOP.steps, "skipped": 1}
    assert all(bool(value.isfinite().all()) for value in tensors(at(runs / "left out", LOOP.steps)).values())


@needs_deepspeed
@pytest.mark.slow
def test_nothing_is_compiled(runs: Path) -> None:
    assert not [path for path in (runs / "extensions").rglob("*") if path.is_file()]


@pytest.mark.skipif(not EXTRA.missing, reason="DeepSpeed is installed")
def test_without_deepspeed_the_remedy_is_told(tmp_path: Path) -> None:
    trainer = flow(tmp_path)
    with pytest.raises(ValueError, match=r"--sharding deepspeed needs deepspeed.*pip install 'gen3r\[deepspeed\]'"):
        Zero(trainer.objective, Processes(), LOOP)
