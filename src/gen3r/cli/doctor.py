"""``gen3r doctor``: is everything here, and what to do next."""

import os
import platform
import re
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
)
EXTRAS = {
    "exports": "COLMAP, USD, Rerun, EXR and SPZ files",
    "mesh": "meshes and collision shapes",
    "viewer": "gen3r view",
    "studio": "gen3r studio",
    "data": "gen3r data: undistorting, checking, cameras of your own pictures, duplicates",
    "captions": "the default model of gen3r data caption",
    "ray": "work on a cluster: --backend ray",
    "train": "curves while training, low-rank updates",
    "deepspeed": "gen3r train --sharding deepspeed",
    "eval": "gen3r eval: errors of camera tracks (evo), LPIPS",
}
"""Groups of optional libraries in pyproject.toml, and what they are for."""
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
            say(f"  {name:<15} {version}")
        missing = [name for name, version in versions.items() if version == ABSENT]
        say("Extras")
        for name, purpose in EXTRAS.items():
            say(f"  {name:<15} {extra_state(name)}  ({purpose})")
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


def extra_state(extra: str) -> str:
    """Whether every library of an extra is installed, or the command that brings the missing ones."""
    marker = f"extra == '{extra}'"
    wanted = [line for line in metadata.requires("gen3r") or [] if line.replace('"', "'").endswith(marker)]
    absent = [name for line in wanted if installed_version(name := re.split(r"[^\w.-]", line)[0]) == ABSENT]
    return f"pip install 'gen3r[{extra}]' brings {', '.join(absent)}" if absent else "installed"


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
