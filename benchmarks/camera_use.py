"""Whether a transformer reads its cameras: its velocity errors with the true ones, with another clip's, and with none.

python benchmarks/camera_use.py --models tiny --out benchmarks/results/camera_use.json

Held-out clips, the first frame given. Errors are means over the last latent frame, the farthest from that view, of the
appearance and of the geometry half; at level 1 everything is noise. A transformer that ignores cameras has the same
error with the true and with the others'. All models see the same clips and the same noise.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import tyro

from gen3r.conditioning.condition import Conditioner
from gen3r.conditioning.views import ViewSampler
from gen3r.eval.benchmarks.seeds import HELD_OUT_START
from gen3r.eval.machine import machine_record, source_commit
from gen3r.eval.metrics.bootstrap import bootstrap_difference, bootstrap_mean
from gen3r.latents.joint import split
from gen3r.pipeline import Gen3RPipeline
from gen3r.presets import load_preset
from gen3r.train.latent_batches import LatentBatches
from gen3r.train.latents import LatentCache, encode_clips
from gen3r.train.objectives.base import Batch
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.objectives.noise import TIMESTEPS
from gen3r.train.sources import ClipSource, GeneratedClips, PackedClips
from gen3r.whole_file import whole_file

FORMAT = "gen3r-camera-use"
LEVELS = (1.0, 0.8, 0.5)
CAMERAS = ("true", "another clip's", "none")
HALVES = ("appearance", "geometry")


@dataclass(frozen=True, kw_only=True)
class CameraUse:
    """Measure some models."""

    models: tuple[str, ...]
    """Model folders or names of downloaded models."""
    out: Path
    """Results file (JSON); replaced if it is there."""
    count: int = 64
    """Held-out clips."""
    pack: Path | None = None
    """Pack of such clips; left out, they are rendered."""
    batch: int = 16
    """Clips at a time; another clip's cameras are those of the next one of the batch."""


def source_of(settings: CameraUse, pipeline: Gen3RPipeline) -> ClipSource:
    """The held-out clips in the size of a model."""
    grid = pipeline.grid()
    if settings.pack is not None:
        return PackedClips([settings.pack], settings.count, "held-out")
    return GeneratedClips(HELD_OUT_START, settings.count, grid.frames, grid.height, grid.width)


def batches_of(pipeline: Gen3RPipeline, clips: ClipSource, size: int) -> Iterator[tuple[DiffusionObjective, Batch]]:
    """The clips as the transformer of a pipeline is trained on them, the first frame given."""
    networks, config = pipeline.networks, pipeline.config
    stage = replace(
        load_preset("tiny").diffusion,
        network=networks.transformer.settings,
        conditioning=config.conditioning,
        codec=config.codec,
        views=ViewSampler(first=1.0, ends=0.0, everything=0.0, anything=0.0, nothing=0.0),
        following=0.0,
        following_blocks=(),
    )
    geometry = networks.geometry
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latents.safetensors"
        conditioner = Conditioner(networks.appearance, stage.conditioning, geometry=geometry)
        encode_clips(clips, conditioner, geometry, path, frames=config.frames, subsets=0, mirrored=False)
        cache = LatentCache(path)
    batches = LatentBatches(cache, networks.text, stage, batch_size=size, seed=0, validation=True)
    objective = DiffusionObjective(networks.transformer, networks.text, stage).eval()
    if len(cache) % size == 1:
        raise ValueError(
            f"{len(cache)} clips leave one alone in the last batch of {size}; take another count or batch."
        )
    for start in range(0, len(cache), size):
        items = range(start, min(start + size, len(cache)))
        yield objective, batches.make(items, torch.Generator().manual_seed(start))


@torch.no_grad()
def errors_of(objective: DiffusionObjective, batch: Batch) -> dict[tuple[float, str, str], list[float]]:
    """Squared velocity errors of every clip, by level, cameras and half."""
    clean, told = batch["clean"], batch["camera"]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    cameras = dict(zip(CAMERAS, (told, told.roll(1, 0), torch.zeros_like(told)), strict=True))
    errors = {}
    for level in LEVELS:
        timestep = torch.full((len(clean),), level * TIMESTEPS)
        for name, camera in cameras.items():
            condition = objective.condition(batch | {"camera": camera})
            velocity = objective.velocity(condition, (1 - level) * clean + level * noise, timestep)
            last = (velocity - (noise - clean)).square()[:, :, -1]
            halves = split(last) if objective.halves == 2 else (last,)
            for half, error in zip(HALVES[: objective.halves], halves, strict=True):
                errors[level, name, half] = error.mean((1, 2, 3)).tolist()
    return errors


def measure(model: str, settings: CameraUse) -> dict[str, Any]:
    """Means with intervals, and what wrong cameras cost, clip by clip."""
    pipeline = Gen3RPipeline.from_pretrained(model, device="cpu")
    found: dict[tuple[float, str, str], list[float]] = {}
    for objective, batch in batches_of(pipeline, source_of(settings, pipeline), settings.batch):
        for key, values in errors_of(objective, batch).items():
            found.setdefault(key, []).extend(values)
    rows = [
        {
            "level": level,
            "cameras": name,
            "half": half,
            "error": asdict(bootstrap_mean(values)),
            "more_than_true": asdict(bootstrap_difference(values, found[level, "true", half])),
        }
        for (level, name, half), values in found.items()
    ]
    config = pipeline.config
    return {"model": {"name": config.name, "revision": config.revision}, "rows": rows}


def main() -> None:
    """Measure and write."""
    settings = tyro.cli(CameraUse, description=__doc__)
    torch.manual_seed(0)
    record = {
        "format": FORMAT,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": source_commit(),
        "command": shlex.join(["python", *sys.argv]),
        "machine": machine_record(torch.device("cpu")),
        "count": settings.count,
        "models": [measure(model, settings) for model in settings.models],
    }
    with whole_file(settings.out) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
