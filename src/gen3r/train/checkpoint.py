"""Checkpoints that are either whole or absent: temporary folder, fsync, rename, keep the last few."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = "checkpoints"
_NAME = re.compile(r"step-(\d{9})")


def save_checkpoint(
    run: Path,
    step: int,
    *,
    weights: dict[str, Tensor],
    average: dict[str, Tensor],
    optimizer: dict[str, Any],
    facts: dict[str, Any],
    keep: int,
) -> Path:
    """Write ``run/checkpoints/step-N`` atomically and delete all but the latest ``keep``.

    ``facts`` is JSON (step, settings). A crash at any moment leaves the earlier checkpoints usable.
    """
    parent = run / FOLDER
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(".partial-*"):
        shutil.rmtree(leftover)
    partial, final = parent / f".partial-{step:09d}", parent / f"step-{step:09d}"
    partial.mkdir()
    save_file(_storable(weights), partial / "weights.safetensors")
    save_file(_storable(average), partial / "average.safetensors")
    torch.save(optimizer, partial / "optimizer.pt")
    (partial / "facts.json").write_text(json.dumps(facts | {"step": step}, indent=2))
    for file in partial.iterdir():
        _fsync(file)
    _fsync(partial)
    if final.exists():
        shutil.rmtree(final)
    os.replace(partial, final)
    _fsync(parent)
    for old in list_checkpoints(run)[:-keep]:
        shutil.rmtree(old)
    return final


def list_checkpoints(run: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    parent = run / FOLDER
    return sorted(path for path in parent.iterdir() if _NAME.fullmatch(path.name)) if parent.is_dir() else []


def load_checkpoint(
    folder: Path, device: torch.device
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Weights, averaged weights, optimizer state (no code is unpickled) and facts of one checkpoint."""
    weights = load_file(folder / "weights.safetensors", device=str(device))
    average = load_file(folder / "average.safetensors", device=str(device))
    optimizer = torch.load(folder / "optimizer.pt", map_location=device, weights_only=True)
    return weights, average, optimizer, json.loads((folder / "facts.json").read_text())


def _storable(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()
    }  # tied tensors part ways


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
