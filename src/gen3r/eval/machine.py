"""Where and from what a number was measured."""

import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import gen3r

_CARD = frozenset({".md", ".png"})
"""What tells about a model and is no part of it."""


def machine_record(device: torch.device) -> dict[str, Any]:
    """Processor, cores, GPU and the versions that influence numbers; JSON-able."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "device": device.type,
        "gpu": gpu,
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": metadata.version("diffusers"),
        "transformers": metadata.version("transformers"),
        "gen3r": metadata.version("gen3r"),
    }


def source_commit() -> str | None:
    """Commit of the checkout this package runs from, ``-dirty`` if tracked files differ; None outside a checkout."""
    root = Path(gen3r.__file__).parent
    described = _git(root, "rev-parse", "HEAD")
    if described is None or _git(root, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return described + ("-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def folder_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below ``folder``, in the order of their names.

    Cards and their pictures are left out: a card quotes results, which name the model by this hash.
    """
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in _CARD):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()}\n{content}\n".encode())
    return digest.hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
