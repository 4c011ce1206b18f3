"""Data order, streams of random numbers, schedule, averaging."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gen3r.models.adapter import GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vggt import VGGT
from gen3r.presets.loop import LoopConfig
from gen3r.train.ema import EMA
from gen3r.train.optim import build_optimizer, learning_rate
from gen3r.train.order import DataOrder
from gen3r.train.planning.steps import STEPS, Clips
from gen3r.train.rng import derive_seed, generator
from gen3r.train.sharding import blocks_of, recompute_activations
from train.planning.test_plan import adapter_preset, preset
from train.tiny_flow import NETWORK


@given(count=st.integers(1, 40), seed=st.integers(0, 5), start=st.integers(0, 200), size=st.integers(1, 30))
def test_order_is_a_function_of_the_position(count: int, seed: int, start: int, size: int) -> None:
    whole = DataOrder(count, seed).items(0, start + size)
    assert DataOrder(count, seed).items(start, size) == whole[start:]
    for epoch in range((start + size) // count):
        assert sorted(whole[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_no_items_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one training item"):
        DataOrder(0, 0)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_streams_repeat_and_differ(seed: int, step: int) -> None:
    first, again = (torch.rand(4, generator=generator(seed, "a", step)) for _ in range(2))
    assert torch.equal(first, again)
    assert derive_seed(seed, "a", step) != derive_seed(seed, "b", step)
    assert derive_seed(seed, "a", step) != derive_seed(seed, "a", step + 1)


@given(st.integers(5, 500), st.integers(1, 50))
def test_schedule_rises_then_falls(steps: int, warmup: int) -> None:
    config = LoopConfig(steps=steps + warmup, batch_size=1, lr=1.0, warmup=warmup, final_lr=0.1)
    rates = [learning_rate(step, config) for step in range(config.steps + 1)]
    assert rates[: warmup - 1] == sorted(rates[: warmup - 1])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert max(rates) <= 1.0
    assert rates[-1] == pytest.approx(0.1)


@given(st.floats(0, 0.999), st.integers(1, 6))
def test_average_follows_its_law(decay: float, updates: int) -> None:
    networks = nn.ModuleDict({"a": nn.Linear(2, 2)})
    ema = EMA(networks, decay)
    expected = networks["a"].weight.detach().clone()
    for step in range(updates):
        with torch.no_grad():
            networks["a"].weight.add_(1.0)
        ema.update(step)
        rate = min(decay, (1 + step) / (10 + step))
        expected = rate * expected + (1 - rate) * networks["a"].weight.detach()
    torch.testing.assert_close(ema.average["a.weight"], expected)
    own = networks["a"].weight.detach().clone()
    with ema.applied():
        torch.testing.assert_close(networks["a"].weight.detach(), expected)
    assert torch.equal(networks["a"].weight, own)


def test_only_matrices_are_decayed_and_factors_go_by_name() -> None:
    networks = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    config = LoopConfig(steps=1, batch_size=1, lr_factors=(("1.", 0.1),))
    groups = build_optimizer(networks, config).param_groups
    assert all((tensor.ndim >= 2) == (group["weight_decay"] > 0) for group in groups for tensor in group["params"])
    slow = [tensor for group in groups if group["lr_factor"] == 0.1 for tensor in group["params"]]
    assert {id(tensor) for tensor in slow} == {id(tensor) for tensor in networks[1].parameters()}
    assert sum(len(group["params"]) for group in groups) == len(list(networks.parameters()))


def test_norms_and_tokens_with_several_axes_are_not_decayed_unless_all_is() -> None:
    with torch.device("meta"):
        networks = nn.ModuleDict({"adapter": GeometryAdapter(), "vggt": VGGT(), "flow": JointTransformer(NETWORK)})
    names = {id(value): name for name, value in networks.named_parameters()}

    def decayed(decay_all: bool) -> set[str]:
        config = LoopConfig(steps=1, batch_size=1, decay_all=decay_all)
        groups = build_optimizer(networks, config).param_groups
        return {names[id(value)] for group in groups if group["weight_decay"] for value in group["params"]}

    assert decayed(True) == set(names.values())
    spared = set(names.values()) - decayed(False)
    assert {name for name in names.values() if name.endswith((".bias", ".gamma", "norm1.weight"))} <= spared
    assert {"vggt.aggregator.camera_token", "vggt.camera_head.empty_pose", "flow.scale_shift_table"} <= spared
    for kernel in ("adapter.encoder.widen.weight", "adapter.moments.weight", "flow.patch_embedding.weight"):
        assert kernel in decayed(False)


@pytest.mark.parametrize("stage", ["diffusion", "adapter", "vggt"])
def test_recomputing_works_every_block_twice(stage: str) -> None:
    case = preset() if stage == "diffusion" else adapter_preset(1)
    calls = []
    for recompute in (False, True):
        step = STEPS[stage](case, Clips(1, case.frames))
        step.networks.train()
        if recompute:
            recompute_activations(step.networks)
        blocks = [block for network in step.networks.values() for block in blocks_of(network)]
        counts = dict.fromkeys(range(len(blocks)), 0)
        for index, block in enumerate(blocks):
            block.register_forward_pre_hook(
                lambda *_, index=index, counts=counts: counts.update({index: counts[index] + 1})
            )
        step.lose().backward()
        calls.append(counts)
    assert min(calls[0].values()) >= 1
    assert calls[1] == {index: 2 * count for index, count in calls[0].items()}


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="steps >= 1"):
        LoopConfig(steps=0, batch_size=1)
    with pytest.raises(ValueError, match="ema_decay"):
        LoopConfig(steps=1, batch_size=1, ema_decay=1.0)
