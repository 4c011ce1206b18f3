"""``gen3r doctor``: is everything here, and what to do next."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata

from gen3r.cli.terminal import say

PACKAGES = (
    "gen3r",
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "safetensors",
    "huggingface_hub",
    "numpy",
    "pillow",
    "av",
    "trimesh",
    "matplotlib",
    "tensorboard",
)
OPTIONAL = {"tensorboard": "only for curves while training; pip install 'gen3r[train]'"}
ABSENT = "missing"


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Tell what is installed, which devices and models are here, and what to do next."""

    def run(self) -> None:
        """Print the findings; exit code 0 whatever they are."""
        versions = {name: installed_version(name) for name in PACKAGES}
        say(f"Python   {platform.python_version()} on {platform.platform(terse=True)}")
        say("Packages")
        for name, version in versions.items():
            note = f"  ({OPTIONAL[name]})" if version == ABSENT and name in OPTIONAL else ""
            say(f"  {name:<15} {version}{note}")
        missing = [name for name, version in versions.items() if version == ABSENT and name not in OPTIONAL]
        say("Devices")
        for line in device_lines() if versions["torch"] != ABSENT else ["unknown without torch"]:
            say(f"  {line}")
        models = model_lines() if versions["huggingface_hub"] != ABSENT else []
        say("Models")
        for line in models or ["none"]:
            say(f"  {line}")
        say("Next")
        for line in advice(missing, has_model=bool(models)):
            say(f"  {line}")


def installed_version(package: str) -> str:
    """Version of an installed distribution, or ``ABSENT``."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ABSENT


def device_lines() -> list[str]:
    """One line per device torch can compute on."""
    import torch

    lines = [f"cpu      {usable_cores()} of {os.cpu_count()} cores usable, {torch.backends.cpu.get_cpu_capability()}"]
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        lines.append(f"cuda:{index}   {device.name}, {device.total_memory / 2**30:.0f} GiB")
    if torch.cuda.device_count() == 0:
        lines.append("no CUDA device: everything runs on the CPU")
    return lines


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def model_lines() -> list[str]:
    """One line per model that is here and can be named after ``--model``."""
    from gen3r.hub.inventory import inventory
    from gen3r.hub.registry import DEFAULT_MODEL

    return [
        f"{state.entry.name:<8} {state.bytes_on_disk / 1e6:.0f} MB in {state.folder}"
        f"{' (default)' if state.entry.name == DEFAULT_MODEL else ''}"
        for state in inventory()
        if state.entry.whole and state.status in ("shipped", "complete")
    ]


def advice(missing: list[str], *, has_model: bool) -> list[str]:
    """What to do next, the most urgent first."""
    if missing:
        return [f"pip install {' '.join(missing)}"]
    if not has_model:
        return [
            "No model is installed. Train one (docs/training.md) and name its folder after --model, "
            "or reinstall gen3r with its shipped weights."
        ]
    return ["gen3r generate PHOTO --out scene     then open scene/preview.png"]
