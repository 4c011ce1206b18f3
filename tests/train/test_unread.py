"""Numbers that stay on the device: the same steps, and what is not finite is left out all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from gen3r.presets.loop import LoopConfig
from gen3r.train.ema import EMA
from gen3r.train.guards import NonFiniteError
from gen3r.train.optim import build_optimizer
from gen3r.train.unread import UnreadSteps
from train.tiny_run import loop_config, trainer, write_pack


def test_steps_are_the_same_read_or_not(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack.safetensors")
    weights, seen = [], []
    for every in (1, 2):
        run = trainer(pack, tmp_path / str(every), loop_config(4, fused=True, read_every=every))
        for _ in range(4):
            seen.append(run.optimizer_step())
            run.step += 1
        weights.append([value.detach().clone() for value in run.objective.networks.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*weights, strict=True))
    assert [bool(values) for values in seen[4:]] == [False, True, False, True]
    assert seen[3]["total"] == seen[7]["total"]


def test_what_is_not_finite_is_left_out_and_told() -> None:
    networks = nn.ModuleDict({"a": nn.Linear(2, 1)})
    config = LoopConfig(steps=9, batch_size=1, fused=True, read_every=3)
    steps = UnreadSteps(networks, build_optimizer(networks, config), EMA(networks, 0.9))

    def take(factor: float) -> bool:
        networks.zero_grad()
        before = networks["a"].weight.detach().clone()
        total = (networks["a"](torch.ones(1, 2)) * factor).sum()
        total.backward()
        steps.take(0, total.detach(), 1.0)
        assert bool(networks["a"].weight.isfinite().all())
        return not torch.equal(before, networks["a"].weight)

    assert [take(1.0), take(float("nan")), take(1.0)] == [True, False, True]
    assert steps.read(3, allowed=1) == 1
    assert steps.read(3, allowed=0) == 0
    take(float("inf"))
    with pytest.raises(NonFiniteError, match="1 of the latest steps up to 4"):
        steps.read(4, allowed=0)


def test_only_a_fused_optimizer_leaves_out_steps() -> None:
    with pytest.raises(ValueError, match="expected fused"):
        LoopConfig(steps=1, batch_size=1, read_every=2)
