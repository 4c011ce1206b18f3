"""Memory and operations of one micro-step, traced on tensors without values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import Preset
from gen3r.train.planning.steps import STEPS, Clips, MicroStep
from gen3r.train.planning.tracing import count_flops, materialize, peak_bytes, shapes_alone
from gen3r.train.sharding import blocks_of, recompute_activations

FLOAT, MOMENTS = 4, 8
"""Bytes of a number in float32, and of what AdamW keeps for one."""
GATHERED_BLOCKS = 2
"""Blocks whose weights are whole at once under fsdp2: the one that works and the next."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on each device, at the worst moment of a step."""

    weights: int
    """Trained weights in float32; under fsdp2 the device's share."""
    frozen: int
    """Networks that work but are not trained, and frozen weights of those that are."""
    gradients: int
    """In float32; under fsdp2 whole while a step has several micro-batches, as they are exchanged after the last."""
    optimizer: int
    """Both moments of AdamW."""
    average: int
    """The moving average of the weights."""
    gathered: int
    """Under fsdp2: weights that are whole at the time, those of two blocks and of what is in no block."""
    activations: int
    """What the forward pass leaves for the backward pass and the most that works in between; inputs and narrow copies
    of weights are in it."""

    @property
    def total(self) -> int:
        """All of it."""
        return sum(vars(self).values())


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What one micro-step needs."""

    memory: Memory
    """On each device."""
    trained: int
    """Numbers in trained weights."""
    frozen: int
    """Numbers in other weights."""


def footprint(
    stage: str, preset: Preset, clips: Clips, loop: LoopConfig, *, devices: int, accumulate: int, recompute: bool
) -> Footprint:
    """Memory of a micro-step.

    Raises:
        ValueError: with ``recompute``, for a network that cannot; for a sharding whose memory is not known.
    """
    if loop.sharding == "deepspeed":
        raise ValueError("expected sharding none or fsdp2 to plan for: the memory of deepspeed's buffers is not known.")
    shares = devices if loop.sharding == "fsdp2" and devices > 1 else 1
    with _made(stage, preset, clips, loop, narrow_blocks=shares > 1, recompute=recompute) as step:
        trained = [value for value in step.networks.parameters() if value.requires_grad]
        still = [value for value in step.networks.parameters() if not value.requires_grad]
        outside = list(step.frozen.parameters())
        numbers = _numbers(trained)
        for value in trained:
            value.grad = torch.empty_like(value)
        activations = peak_bytes(lambda: _backward(step, loop))
        whole_gradients = shares == 1 or accumulate > 1
        memory = Memory(
            weights=FLOAT * numbers // shares,
            frozen=_bytes(outside) + _bytes(still) // shares,
            gradients=FLOAT * numbers // (1 if whole_gradients else shares),
            optimizer=MOMENTS * numbers // shares,
            average=FLOAT * numbers // shares if loop.ema_decay else 0,
            gathered=_gathered(step.networks) if shares > 1 else 0,
            activations=activations,
        )
        return Footprint(memory=memory, trained=numbers, frozen=_numbers(still) + _numbers(outside))


def step_flops(stage: str, preset: Preset, clips: Clips, loop: LoopConfig) -> int:
    """Operations of a micro-step, forward and backward, none of them twice."""
    with _made(stage, preset, clips, loop, narrow_blocks=False, recompute=False) as step:
        return count_flops(lambda: _backward(step, loop))


@contextmanager
def _made(
    stage: str, preset: Preset, clips: Clips, loop: LoopConfig, *, narrow_blocks: bool, recompute: bool
) -> Iterator[MicroStep]:
    """The step with its networks, blocks in bfloat16 where they are gathered so."""
    with shapes_alone():
        with torch.device("meta"):
            step = STEPS[stage](preset, clips)
        narrow: set[int] = set()
        if narrow_blocks and loop.precision == "bf16":
            blocks = [block for network in step.networks.values() for block in blocks_of(network)]
            narrow = {id(value) for block in blocks for value in block.parameters()}

        def dtype_of(value: nn.Parameter) -> torch.dtype:
            if not value.requires_grad:
                return step.frozen_dtype
            return torch.bfloat16 if id(value) in narrow else torch.float32

        materialize(step.networks, dtype_of)
        materialize(step.frozen, dtype_of)
        step.networks.train()
        step.frozen.eval()
        if recompute:
            recompute_activations(step.networks)
        yield step


def _backward(step: MicroStep, loop: LoopConfig) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=loop.precision == "bf16"):
        loss = step.lose()
    loss.backward()


def _gathered(networks: nn.ModuleDict) -> int:
    blocks = [block for network in networks.values() for block in blocks_of(network)]
    inside = {id(value) for block in blocks for value in block.parameters()}
    rest = [value for value in networks.parameters() if id(value) not in inside]
    sizes = sorted((_bytes(block.parameters()) for block in blocks), reverse=True)
    return _bytes(rest) + sum(sizes[:GATHERED_BLOCKS])


def _numbers(values: Iterable[nn.Parameter]) -> int:
    return sum(value.numel() for value in values)


def _bytes(values: Iterable[nn.Parameter]) -> int:
    return sum(value.numel() * value.element_size() for value in values)
