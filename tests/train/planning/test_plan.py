"""Plans against what really runs: bytes by PyTorch's own record of them, operations by closed forms."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from gen3r.models.adapter import AdapterConfig
from gen3r.models.transformer import TransformerConfig
from gen3r.models.vae import VAEConfig
from gen3r.models.vggt import VGGTConfig
from gen3r.presets import load_preset
from gen3r.presets.stages import Preset
from gen3r.train.optim import build_optimizer
from gen3r.train.planning.devices import DEVICES, speed_of
from gen3r.train.planning.footprint import Memory, footprint, step_flops
from gen3r.train.planning.plan import Plan, clip_lengths, plan
from gen3r.train.planning.steps import STEPS, Clips
from gen3r.train.planning.words import describe
from gen3r.train.sharding import recompute_activations

CLIPS = Clips(2, 5)
SPEED = speed_of(DEVICES["h100"])


def preset(**loop: Any) -> Preset:
    """Stage 2 of ``tiny`` with three small blocks and text that is given."""
    tiny = load_preset("tiny")
    network = TransformerConfig(
        num_attention_heads=2,
        attention_head_dim=24,
        num_layers=3,
        ffn_dim=192,
        text_dim=32,
        text_length=8,
        image_dim=None,
        camera_downsample_first=True,
        camera_residual_kernel=1,
    )
    schedule = dataclasses.replace(tiny.diffusion.loop, precision="fp32", batch_size=2, **loop)
    return dataclasses.replace(
        tiny,
        frames=5,
        diffusion=dataclasses.replace(tiny.diffusion, network=network, text=None, loop=schedule, following=0.0),
    )


def adapter_preset(frames: int) -> Preset:
    """Stage 1 of ``tiny`` with networks of its structure and no size."""
    tiny = load_preset("tiny")
    vggt = VGGTConfig(
        image_size=112,
        patch_embed="conv",
        embed_dim=16,
        depth=4,
        heads=2,
        kept_layers=(0, 1, 2, 3),
        camera_depth=1,
        camera_heads=2,
        dense_features=8,
        dense_channels=(8, 8, 8, 8),
        dense_hidden=4,
    )
    adapter = dataclasses.replace(
        tiny.adapter,
        network=AdapterConfig(hidden=4, token_channels=5 * vggt.token_dim, res_blocks=1, resample_scale=20),
    )
    return dataclasses.replace(
        tiny,
        frames=frames,
        vggt=dataclasses.replace(tiny.vggt, network=vggt),
        vae=dataclasses.replace(tiny.vae, network=VAEConfig(base_dim=4, num_res_blocks=1)),
        adapter=adapter,
    )


def really_allocated(recompute: bool) -> int:
    """The most that a real micro-step holds at once beyond weights and gradients, by PyTorch's profiler."""
    step = STEPS["diffusion"](preset(), CLIPS)
    step.networks.train()
    for value in step.networks.parameters():
        value.grad = torch.zeros_like(value)
    if recompute:
        recompute_activations(step.networks)
    step.lose().backward()  # tables and the like are made once
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as seen:
        step.lose().backward()
    now = peak = 0
    for event in seen.profiler.kineto_results.events():  # pyright: ignore[reportOptionalMemberAccess]
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


@pytest.mark.parametrize("recompute", [False, True])
def test_activations_are_those_of_a_real_step(recompute: bool) -> None:
    loop = preset().diffusion.loop
    planned = footprint("diffusion", preset(), CLIPS, loop, devices=1, accumulate=1, recompute=recompute)
    assert planned.memory.activations == pytest.approx(really_allocated(recompute), rel=0.1)


def test_recomputing_needs_far_less() -> None:
    loop = preset().diffusion.loop
    stored, recomputed = (
        footprint("diffusion", preset(), CLIPS, loop, devices=1, accumulate=1, recompute=choice).memory
        for choice in (False, True)
    )
    assert recomputed.activations < 0.6 * stored.activations
    assert dataclasses.replace(recomputed, activations=0) == dataclasses.replace(stored, activations=0)


def test_weights_and_moments_are_those_of_a_real_run() -> None:
    stage, loop = preset().diffusion, preset().diffusion.loop
    step = STEPS["diffusion"](preset(), CLIPS)
    optimizer = build_optimizer(step.networks, loop)
    step.lose().backward()
    optimizer.step()
    moments = sum(value.nbytes for state in optimizer.state.values() for value in state.values() if value.ndim)
    weights = sum(value.nbytes for value in step.networks.parameters())
    planned = footprint("diffusion", preset(), CLIPS, stage.loop, devices=1, accumulate=1, recompute=False)
    memory = planned.memory
    assert (memory.weights, memory.gradients, memory.optimizer, memory.average) == (weights, weights, moments, weights)
    assert planned.trained == weights // 4
    assert planned.frozen == memory.frozen == memory.gathered == 0


def test_shards_divide_all_but_activations_and_what_is_gathered() -> None:
    alone = _memory(devices=1, accumulate=1)
    shared, summed = _memory(devices=4, accumulate=1), _memory(devices=4, accumulate=2)
    for name in ("weights", "gradients", "optimizer", "average"):
        assert getattr(shared, name) == pytest.approx(getattr(alone, name) / 4, rel=1e-3)
    assert summed.gradients == alone.gradients  # not exchanged before the last micro-batch
    assert 0 < shared.gathered < alone.weights
    assert shared.activations == alone.activations
    assert shared.total == sum(vars(shared).values())


def _memory(**case: int) -> Memory:
    loop = preset(sharding="fsdp2").diffusion.loop
    return footprint("diffusion", preset(), CLIPS, loop, recompute=False, **case).memory


def test_operations_are_three_forward_passes_of_the_closed_form() -> None:
    case = preset()
    network, tokens = case.diffusion.network, 2 * 7 * 14
    width, hidden = network.dim, network.ffn_dim
    block = 2 * tokens * (8 * width**2 + 2 * width * hidden) + 4 * tokens * (tokens + network.text_length) * width
    block -= 2 * tokens * 2 * width**2  # keys and values of the text have its few rows
    forward = CLIPS.count * network.num_layers * block
    counted = step_flops("diffusion", case, CLIPS, case.diffusion.loop)
    assert (
        3 * forward < counted < 1.25 * 3 * forward
    )  # with patches, text, cameras and time, which have no closed form here


def test_frozen_networks_are_planned_too() -> None:
    small = adapter_preset(frames=1)
    adapter = small.adapter
    made = plan("adapter", small, adapter.loop, devices=1, speed=SPEED)
    assert made.frozen > made.trained > 0
    assert made.phases[0].stored.frozen == 4 * made.frozen
    assert made.most == made.phases[0].stored.total
    text = describe(made, DEVICES["rtx4090"])
    assert "rtx4090 has 24 GB: fits." in text
    assert "AN ASSUMPTION, not measured" in text


def test_what_does_not_fit_is_told_what_helps(made: Plan) -> None:
    case = preset().diffusion.loop
    loop = dataclasses.replace(case, batch_size=1, recompute=True)
    phase = dataclasses.replace(made.phases[0], clips=1)
    recomputed = made.phases[0].recomputed
    assert recomputed is not None
    one = dataclasses.replace(made, loop=loop, phases=(phase,))

    def told(plan: Plan, memory: int) -> str:
        return describe(plan, dataclasses.replace(DEVICES["h100"], memory=memory)).splitlines()[-1]

    fixed = recomputed.activations
    assert told(one, recomputed.total).endswith("fits.")
    assert told(one, fixed + 1).endswith("does NOT fit; more devices with --sharding fsdp2.")
    assert "takes" in told(one, fixed)
    assert told(one, fixed).endswith("shorter or smaller clips, or a larger device.")
    storing = dataclasses.replace(one, loop=dataclasses.replace(loop, recompute=False))
    assert told(storing, recomputed.total).endswith("does NOT fit; --recompute yes.")
    several = dataclasses.replace(one, phases=(dataclasses.replace(phase, clips=2),))
    assert told(several, fixed).endswith("does NOT fit; a smaller --batch-size.")


def test_a_curriculum_has_phases() -> None:
    tiny = load_preset("tiny")
    grows = dataclasses.replace(tiny, adapter=dataclasses.replace(tiny.adapter, curriculum=((0.0, 5), (0.25, 9))))
    assert clip_lengths("adapter", grows) == [(5, 0.25), (9, 0.75)]
    assert clip_lengths("diffusion", grows) == [(tiny.frames, 1.0)]


@pytest.fixture(scope="module")
def made() -> Plan:
    case = preset(global_batch=8, steps=1000, accumulate=1)
    return plan("diffusion", case, case.diffusion.loop, devices=2, speed=SPEED)


def test_hours_are_operations_by_speed(made: Plan) -> None:
    assert (made.accumulate, made.samples) == (2, 8)
    seconds = made.seconds(made.phases[0])
    assert seconds == pytest.approx(2 * made.phases[0].flops / SPEED.flops)
    assert made.device_hours == pytest.approx(1000 * seconds * 2 / 3600)


def test_samples_that_cannot_be_shared_are_refused() -> None:
    case = preset(global_batch=8)
    with pytest.raises(ValueError, match="a step of 8 samples cannot be shared by 3 processes"):
        plan("diffusion", case, case.diffusion.loop, devices=3, speed=SPEED)
    with pytest.raises(ValueError, match="--mfu above 0"):
        speed_of(DEVICES["h100"], 1.5)
