"""A plan in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from gen3r.train.planning.devices import Device
from gen3r.train.planning.footprint import Memory
from gen3r.train.planning.plan import Phase, Plan

GB = 10**9


def describe(plan: Plan, device: Device | None = None) -> str:
    """For a terminal; with ``device`` it also says whether the run fits."""
    return "\n".join(_lines(plan, device))


def _lines(plan: Plan, device: Device | None) -> Iterator[str]:
    loop = plan.loop
    yield (
        f"{plan.preset} {plan.stage}: {plan.trained / 1e6:,.1f} M trained parameters, "
        f"{plan.frozen / 1e6:,.1f} M at work but frozen; {loop.precision}, sharding {loop.sharding}"
    )
    yield (
        f"{plan.devices} device(s) x {plan.accumulate} micro-step(s) x batch {loop.batch_size} = {plan.samples} "
        f"samples per step, {loop.steps:,} steps"
    )
    for phase in plan.phases:
        yield ""
        yield from _phase(plan, phase)
    yield ""
    for speed in dict.fromkeys(phase.speed for phase in plan.phases):
        yield f"speed of a device: {speed.flops / 1e12:.3g} TFLOP/s, {speed.source}"
    hours, days = plan.device_hours, plan.device_hours / plan.devices / 24
    yield f"whole schedule: {_short(hours)} device-hours, {_short(days)} days on {plan.devices} device(s)"
    yield (
        "not counted: the driver's own memory, workspaces of kernels, unused parts of the allocator (leave a tenth), "
        "loading data, exchanging gradients, validation."
    )
    if device is not None:
        fits = plan.most <= device.memory
        told = "fits." if fits else f"does NOT fit; {_advice(plan, device)}."
        yield f"{device.name} has {device.memory / GB:.0f} GB: {told}"


def _advice(plan: Plan, device: Device) -> str:
    """What makes the phase that needs most memory fit, if anything does."""
    worst = plan.worst
    now, best = plan.memory(worst), worst.recomputed or worst.stored
    ways = [] if best is now else ["--recompute yes"]
    unshared = best.activations + best.frozen + best.gathered
    if unshared < device.memory < best.total:
        ways.append("more devices with --sharding fsdp2")
    if worst.clips > 1:
        ways.append("a smaller --batch-size")
    elif unshared >= device.memory:
        many = f"one clip of {worst.frames} frames takes {_short(unshared / GB)} GB"
        ways.append(f"{many} however many devices share the rest: shorter or smaller clips, or a larger device")
    return "; ".join(ways) or "more devices"


def _phase(plan: Plan, phase: Phase) -> Iterator[str]:
    columns = [("recomputing", phase.recomputed), ("storing", phase.stored)]
    shown = [(name, memory) for name, memory in columns if memory is not None]
    yield f"{phase.frames} frames, {phase.share:.0%} of the steps; GB per device with activations of blocks"
    yield f"  {'':12}" + "".join(f"{_marked(plan, phase, name, memory):>16}" for name, memory in shown)
    for field in (*fields(Memory), None):
        name = "total" if field is None else field.name
        values = [getattr(memory, name) for _, memory in shown]
        if any(values):
            yield f"  {name:12}" + "".join(f"{_short(value / GB):>16}" for value in values)
    yield (
        f"  {_short(phase.flops / 1e12)} TFLOP per micro-step without what is computed twice, "
        f"{_short(plan.seconds(phase))} s per step"
    )


def _short(value: float) -> str:
    """Three digits that matter, never an exponent."""
    return f"{value:,.0f}" if value >= 100 else np.format_float_positional(value, 3, fractional=False, trim="-")


def _marked(plan: Plan, phase: Phase, name: str, memory: Memory) -> str:
    return f"{name} *" if memory is plan.memory(phase) else name
