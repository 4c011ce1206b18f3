"""Devices that training is planned for, and how much of their speed training reaches: measured, or assumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = "gen3r-training-step"
ASSUMED_MFU = 0.4
"""Share of a GPU's speed that a well-made transformer of this size often reaches; nothing of ours was measured."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One kind of device."""

    name: str
    """What ``--device`` calls it."""
    memory: int
    """Bytes; 10^9 make a GB."""
    flops: float
    """Dense bfloat16 matrix products per second by its data sheet."""


DEVICES: Mapping[str, Device] = {
    device.name: device
    for device in (
        Device(name="rtx4090", memory=24 * 10**9, flops=165e12),
        Device(name="a100", memory=80 * 10**9, flops=312e12),
        Device(name="h20", memory=96 * 10**9, flops=148e12),
        Device(name="h100", memory=80 * 10**9, flops=989e12),
        Device(name="h200", memory=141 * 10**9, flops=989e12),
    )
}
"""By name."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Floating-point operations of the model that a device gets done per second of training."""

    flops: float
    """Operations per second, those computed twice not counted."""
    source: str
    """Where the number is from, for people."""
    measured: bool
    """Whether it was measured."""


def speed_of(device: Device, mfu: float | None = None) -> Speed:
    """A device at a share of its data sheet: ``mfu``, or what is assumed.

    Raises:
        ValueError: for a share outside 0..1.
    """
    if mfu is not None and not 0 < mfu <= 1:
        raise ValueError(f"expected --mfu above 0 and at most 1, got {mfu}.")
    share = ASSUMED_MFU if mfu is None else mfu
    told = "given" if mfu is not None else "AN ASSUMPTION, not measured"
    source = f"{share:.0%} of {device.flops / 1e12:.0f} TFLOP/s ({device.name}'s data sheet; the share is {told})"
    return Speed(flops=share * device.flops, source=source, measured=False)


def measured_speed(file: Path, stage: str) -> Speed:
    """What ``benchmarks/training_step.py`` measured of a stage.

    Raises:
        ValueError: if the file is not from there, or has no such stage.
    """
    record: Any = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{file} is not a results file of benchmarks/training_step.py; measure again.")
    cases = [case for case in record["cases"] if case["stage"] == stage and "model_flops_per_second" in case]
    if not cases:
        raise ValueError(
            f"{file} has no measurement of the {stage} stage, only {[c['stage'] for c in record['cases']]}."
        )
    best = max(cases, key=lambda case: case["model_flops_per_second"])
    clip = f"preset {best['preset']}, {best['frames']} frames, batch {best['batch']}"
    machine = record["machine"]["gpu"] or record["machine"]["processor"]
    source = f"{best['mfu']:.0%} of the fastest matrix product of {machine}, measured on {clip}"
    return Speed(flops=best["model_flops_per_second"], source=source, measured=True)
