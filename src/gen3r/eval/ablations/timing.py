"""How many diffusion steps fit into some minutes on this machine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median

import torch

from gen3r.eval.ablations.study import STUDY_FILE
from gen3r.latents.grid import LatentGrid
from gen3r.models.transformer import JointTransformer
from gen3r.presets import load_preset
from gen3r.presets.stages import Preset
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.rng import generator
from gen3r.train.tokenizer import small_text_encoder

TIMED_STEPS = 8
"""Steps whose median is taken, after two to warm up."""


def planned_steps(folder: Path, preset: str, minutes: float | None) -> int | None:
    """Steps for so many minutes per run; those of the study in the folder, if it was planned for as many.

    Raises:
        ValueError: for minutes that are not above 0.
    """
    if minutes is None:
        return None
    if minutes <= 0:
        raise ValueError(f"expected more than 0 minutes per run, got {minutes:g}.")
    path = folder / STUDY_FILE
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if known.get("minutes") == minutes and known.get("preset") == preset:
        return known["steps"]
    return max(1, round(60 * minutes / seconds_per_step(load_preset(preset))))


def seconds_per_step(preset: Preset) -> float:
    """Median time of an optimizer step of diffusion on random latents, with the threads and precision of the preset."""
    stage, loop = preset.diffusion, preset.diffusion.loop
    if stage.text is None:
        raise ValueError(f"expected a preset that trains its text encoder to time, got {preset.name}; give steps.")
    if loop.threads is not None:
        torch.set_num_threads(loop.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    text = small_text_encoder(["a room with a chair; the camera slides left"], stage.text)
    objective = DiffusionObjective(JointTransformer(stage.network), text, stage).to(device)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=0.0)
    grid = LatentGrid(preset.frames, preset.height, preset.width, preset.vggt.network.patch_size)
    clean = torch.randn(loop.batch_size, *grid.joint_shape)
    rows = (clean.shape[-2], clean.shape[-1] // 2) if stage.conditioning.rays_at_latent_size else grid.size
    batch = {
        "clean": clean,
        "control": torch.randn(loop.batch_size, 20, *clean.shape[2:]),
        "camera": torch.randn(loop.batch_size, 24, clean.shape[2], *rows),
        "ids": torch.ones(loop.batch_size, stage.text.length, dtype=torch.long),
        "ids_mask": torch.ones(loop.batch_size, stage.text.length, dtype=torch.long),
    }
    batch = {name: value.to(device) for name, value in batch.items()}
    seconds = []
    for step in range(TIMED_STEPS + 2):
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=loop.precision == "bf16"):
            loss = objective.loss(batch, generator(0, "timing", step, device=device)).total
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for the device
        seconds.append(time.perf_counter() - started)
    return median(seconds[2:])
