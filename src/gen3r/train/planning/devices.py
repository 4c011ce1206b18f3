"""Devices that training is planned for, and how much of their speed training reaches: measured, or assumed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
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


def measured_speeds(
    file: Path, stage: str, preset: str, device: Device, frames: Iterable[int], *, recompute: bool
) -> dict[int, Speed]:
    """What ``benchmarks/training_step.py`` measured of a run's steps.

    Args:
        file: its results.
        stage: name of the stage.
        preset: name of the preset.
        device: the kind that is planned for.
        frames: numbers of frames per clip that the run has.
        recompute: whether it computes activations again, which is time that counts for nothing.

    Returns:
        The speed by number of frames; of batches that differ, the fastest.

    Raises:
        ValueError: if the file is not from there, is of another device, or lacks a measurement.
    """
    record = _read(file)
    machine = record["machine"]["gpu"] or record["machine"]["processor"]
    name = " ?".join(re.findall(r"[a-z]+|\d+", device.name))  # drivers write "RTX 4090"
    if not re.search(rf"\b{name}\b", str(machine).lower()):
        raise ValueError(f"{file} was measured on {machine}, the plan is for {device.name}; measure there.")
    done = [case for case in record["cases"] if "model_flops_per_second" in case]
    speeds = {}
    for count in frames:
        wanted = (preset, stage, count, recompute)
        cases = [case for case in done if tuple(case[name] for name in _CASE) == wanted]
        if not cases:
            known = "; ".join(dict.fromkeys(_named(*(case[name] for name in _CASE)) for case in done)) or "nothing"
            raise ValueError(
                f"{file} has no measurement of {_named(*wanted)}, only of {known}; measure it with "
                f"benchmarks/training_step.py --cases {preset}:{stage}:{count} --recompute {recompute}."
            )
        best = max(cases, key=lambda case: case["model_flops_per_second"])
        share = f"{best['mfu']:.0%} of the fastest matrix product of {machine}"
        source = f"{share}, measured on {_named(*wanted)}, batch {best['batch']}"
        speeds[count] = Speed(flops=best["model_flops_per_second"], source=source, measured=True)
    return speeds


_CASE = ("preset", "stage", "frames", "recompute")


def _named(preset: str, stage: str, frames: int, recompute: bool) -> str:
    return f"{preset} {stage}, {frames} frames, {'recomputing' if recompute else 'storing'}"


def _read(file: Path) -> dict[str, Any]:
    try:
        record: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as results of benchmarks/training_step.py: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{file} is not a results file of benchmarks/training_step.py; measure again.")
    return record
