"""Speeds: assumed ones, and measured ones that are of what is planned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen3r.train.planning.devices import DEVICES, FORMAT, Device, measured_speeds, speed_of
from gen3r.train.planning.plan import plan
from gen3r.train.planning.words import describe
from train.planning.test_plan import preset

CASE: dict[str, Any] = {
    "preset": "tiny",
    "stage": "diffusion",
    "frames": 9,
    "batch": 8,
    "recompute": False,
    "mfu": 0.5,
    "model_flops_per_second": 1e9,
}


def results(file: Path, *cases: dict[str, Any], gpu: str | None = "NVIDIA H20") -> Path:
    """A results file of ``benchmarks/training_step.py``."""
    record = {"format": FORMAT, "machine": {"gpu": gpu, "processor": "abacus"}, "cases": list(cases)}
    file.write_text(json.dumps(record))
    return file


def measured(file: Path, *, device: str = "h20", frames: tuple[int, ...] = (9,), **changes: Any) -> dict[int, float]:
    wanted = {"stage": "diffusion", "preset": "tiny", "recompute": False} | changes
    speeds = measured_speeds(file, device=DEVICES[device], frames=frames, **wanted)
    assert all(speed.measured for speed in speeds.values())
    return {count: speed.flops for count, speed in speeds.items()}


def test_each_length_of_a_run_has_its_own_speed(tmp_path: Path) -> None:
    slow, fast = CASE | {"frames": 5, "model_flops_per_second": 4e8}, CASE | {"batch": 1}
    file = results(tmp_path / "results.json", CASE | {"model_flops_per_second": 9e8}, fast, slow, {"failed": "memory"})
    assert measured(file, frames=(5, 9)) == {5: 4e8, 9: 1e9}


def test_a_plan_says_what_was_measured(tmp_path: Path) -> None:
    file = results(tmp_path / "results.json", CASE | {"frames": 5})
    speeds = measured_speeds(file, "diffusion", "tiny", DEVICES["h20"], [5], recompute=False)
    made = plan("diffusion", preset(), preset().diffusion.loop, devices=1, speed=speeds)
    assert made.seconds(made.phases[0]) == pytest.approx(made.accumulate * made.phases[0].flops / 1e9)
    text = describe(made)
    assert "50% of the fastest matrix product of NVIDIA H20, measured on tiny diffusion, 5 frames" in text
    assert "ASSUMPTION" not in text
    assert "AN ASSUMPTION, not measured" in speed_of(DEVICES["h20"]).source


@pytest.mark.parametrize(
    "other",
    [{"stage": "adapter"}, {"preset": "full"}, {"frames": (9, 49)}, {"recompute": True}],
    ids=["stage", "preset", "frames", "recompute"],
)
def test_measurements_of_something_else_are_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    file = results(tmp_path / "results.json", CASE)
    with pytest.raises(ValueError, match=r"no measurement of .*, only of tiny diffusion, 9 frames, storing; measure"):
        measured(file, **other)


@pytest.mark.parametrize("gpu", ["NVIDIA H200", "NVIDIA GeForce RTX 4090", None])
def test_measurements_on_something_else_are_refused(tmp_path: Path, gpu: str | None) -> None:
    file = results(tmp_path / "results.json", CASE, gpu=gpu)
    with pytest.raises(ValueError, match=f"was measured on {gpu or 'abacus'}, the plan is for h20"):
        measured(file)


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
    ],
)
def test_drivers_name_devices_in_their_own_way(tmp_path: Path, name: str, device: str) -> None:
    file = results(tmp_path / "results.json", CASE, gpu=name)
    assert [each for each in DEVICES if _is(file, DEVICES[each])] == [device]


def _is(file: Path, device: Device) -> bool:
    try:
        return bool(measured(file, device=device.name))
    except ValueError:
        return False


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    for content, reason in ((None, "cannot be read"), ("speed: 5", "cannot be read"), ("{}", "not a results file")):
        if content is not None:
            file.write_text(content)
        with pytest.raises(ValueError, match=reason):
            measured(file)
