"""What encoding clips beforehand saves: seconds of a training step of stage 2 on shards and on video, in one run.

python benchmarks/encoded_training.py measure --sizes tiny --out benchmarks/results/encoded_training_cpu.json
python benchmarks/encoded_training.py table benchmarks/results/encoded_training_cpu.json --into docs/latents.md

Networks have random weights, which cost what trained ones do; ``--sizes full`` are the published ones and want a GPU of
80 GB. Clips are rendered, written as clip folders and encoded as ``gen3r data encode`` does it. Both ways of training
read the same clips with the same transformer, step by step in turns, so that what else the machine does touches them
alike; both times have reading and decoding of files in them.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from measure.ceiling import synchronize
from measure.networks import (
    Place,
    appearance_codec,
    make_adapter,
    make_image,
    make_text,
    make_transformer,
    make_vae,
    make_vggt,
    parameter_count,
)
from measure.sizes import SIZES, Sizes, umt5
from torch import Tensor

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.conditioning.views import ViewSampler
from gen3r.data.dataset import ClipDataset
from gen3r.data.sampling import ClipSampler
from gen3r.data.schema.folder import write_clip
from gen3r.data.synthetic.generate import generate_clips
from gen3r.eval.machine import machine_record, source_commit
from gen3r.eval.report import fill_tables
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.latents.grid import LatentGrid
from gen3r.prepare.encoding.config import EncodeConfig
from gen3r.prepare.encoding.items import ItemEncoder
from gen3r.prepare.encoding.plan import ItemKey
from gen3r.prepare.encoding.shard import ShardWriter
from gen3r.presets import load_preset
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import DiffusionStage, TextConfig
from gen3r.train.batches import Batches, to_device
from gen3r.train.latent_batches import ClipVideos, LatentBatches
from gen3r.train.latents import FrozenEncoders, LatentManifest, LatentSettings, open_latents
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.rng import sample_generators
from gen3r.train.stored import ClipForm, Scenes, StoredClips
from gen3r.whole_file import whole_file

FORMAT = "gen3r-encoded-training"
WAYS = ("encoded", "video")
NETWORKS: dict[str, str] = dict.fromkeys(("vae", "vggt", "geometry_adapter", "text_encoder"), "0" * 64)
"""Random weights have no identity worth the name."""
logger = logging.getLogger(__name__)


def tiny() -> Sizes:
    """The preset ``tiny``, which has no image encoder; its text encoder is frozen here."""
    preset = load_preset("tiny")
    text = preset.diffusion.text or TextConfig()
    small = {"d_model": text.width, "d_kv": text.width // text.heads, "d_ff": text.ffn, "num_heads": text.heads}
    return Sizes(
        vae=preset.vae.network,
        vggt=preset.vggt.network,
        adapter=preset.adapter.network,
        transformer=preset.diffusion.network,
        text=umt5(vocab_size=text.vocabulary, num_layers=text.layers, **small),
    )


CLIPS: Mapping[str, tuple[Callable[[], Sizes], LatentGrid, bool]] = {
    "small": (SIZES["small"], LatentGrid(5, 112, 112), False),
    "tiny": (tiny, LatentGrid(9, 112, 112), True),
    "full": (SIZES["full"], LatentGrid(49, 560, 560), False),
}
"""Sizes of the networks, of the clips, and whether rays are at latent size."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Measure both ways."""

    out: Path
    """Results file (JSON); replaced if it is there."""
    sizes: Literal["small", "tiny", "full"] = "tiny"
    """Networks and clips: as small as can be, the preset tiny, or as published."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    """Where it runs."""
    clips: int = 4
    """Clips that are read over and over."""
    batch: int = 1
    """Clips per step."""
    rounds: int = 9
    """Timed steps of each way; the median counts."""
    threads: int = 1
    """CPU threads."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Show results as a table."""

    results: tyro.conf.Positional[Path]
    """Results file."""
    into: Path | None = None
    """Document whose marked place takes the table; left out, it is printed."""


class Bench:
    """One transformer, its optimizer, and both kinds of batches."""

    def __init__(self, settings: Measure, folder: Path) -> None:
        make_sizes, self.grid, latent_rays = CLIPS[settings.sizes]
        self.settings, self.device, self.sizes = settings, torch.device(settings.device), make_sizes()
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.stage = DiffusionStage(
            network=self.sizes.transformer,
            text=TextConfig(),
            loop=LoopConfig(steps=1, batch_size=settings.batch),
            conditioning=ConditioningConfig(rays_at_latent_size=latent_rays),
            views=ViewSampler(),
        )
        self.encoders = self._encoders()
        dataset = self._dataset(folder / "clips")
        self.encode_seconds = self._encode(dataset, folder / "latents")
        self.shard_bytes = sum(path.stat().st_size for path in (folder / "latents").glob("*.safetensors"))
        self.batches = self._batches(dataset, folder / "latents")
        transformer = make_transformer(self.sizes, Place(device=self.device, dtype=torch.float32)).requires_grad_(True)
        if settings.sizes == "full":
            transformer.enable_gradient_checkpointing()
        self.objective = DiffusionObjective(transformer, None, self.stage, encoders=self.encoders)
        self.optimizer = torch.optim.AdamW(transformer.parameters(), lr=1e-5)

    def _encoders(self) -> FrozenEncoders:
        narrow, wide = Place(device=self.device, dtype=self.dtype), Place(device=self.device, dtype=torch.float32)
        sizes = self.sizes
        return FrozenEncoders(
            appearance_codec(sizes, make_vae(sizes, narrow), self.device),
            VGGTAdapterCodec(make_vggt(sizes, wide), make_adapter(sizes, wide)),
            self.stage.conditioning,
            text=make_text(sizes, narrow),
            image=None if sizes.transformer.image_dim is None else make_image(sizes, narrow),
        )

    def _dataset(self, folder: Path) -> ClipDataset:
        seeds, size = range(self.settings.clips), (self.grid.frames, *self.grid.size)
        for clip in generate_clips(seeds, *size, device=self.device, store="cpu", samples=1):
            write_clip(clip, folder / f"{clip.seed:09d}", split="train", source="gen3r-synthetic", licence="CC0-1.0")
        return ClipDataset.open(folder)

    def _encode(self, dataset: ClipDataset, out: Path) -> float:
        """Write one shard; seconds per clip."""
        config = EncodeConfig(datasets=("clips",), out=str(out), model="random", strides=(1, 1))
        conditioning = self.stage.conditioning
        image = conditioning.image_pixels if self.encoders.image is not None else None
        latent = LatentSettings(
            frames=self.grid.frames, height=self.grid.height, width=self.grid.width, subsets=0,
            control_geometry=conditioning.control_geometry, sample_control=conditioning.sample_control,
            image_pixels=image, normalize_scale=conditioning.normalize_scale, dtype=str(self.dtype).split(".")[1],
        )  # fmt: skip
        keys = [ItemKey(dataset=0, clip=name, window=0, mirrored=False) for name in dataset.names]
        shards = (tuple(map(str, keys)),)
        LatentManifest(settings=latent, networks=NETWORKS, made=config.made(), shards=shards).write(out)
        encoder = ItemEncoder(config, latent, self.encoders, self.device)
        writer = ShardWriter(self.encoders, latent, NETWORKS, self.device)
        encoder.encode(dataset[0], keys[0])  # what is slow the first time
        made, times = [], []
        for clip, key in zip(dataset, keys, strict=True):
            started = self._now()
            made.append(encoder.encode(clip, key))
            times.append(self._now() - started)
        writer.write(out / "latents-00000.safetensors", made, {})
        return statistics.median(times)

    def _batches(self, dataset: ClipDataset, latents: Path) -> dict[str, Batches]:
        grid, batch = self.grid, self.settings.batch
        sampler = ClipSampler(frames=grid.frames, strides=(1, 1))
        form = ClipForm(sampler=sampler, height=grid.height, width=grid.width, depth=True)
        clips = StoredClips([Scenes.of(dataset)], form)
        return {
            "encoded": LatentBatches(open_latents(latents, NETWORKS), None, self.stage, batch_size=batch, seed=0),
            "video": ClipVideos(clips, self.stage, frames=grid.frames, batch_size=batch, seed=0),
        }

    def step(self, way: str, number: int) -> dict[str, float]:
        """One optimizer step: seconds of reading, of encoding in the step, and of training."""
        batches, marks = self.batches[way], [self._now()]
        batch = to_device(batches.at(number), self.device)
        marks.append(self._now())
        rng = sample_generators("loss", positions=batches.positions(number), device=self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            batch = self.objective.encoded(batch, rng)
            marks.append(self._now())
            total: Tensor = self.objective(batch, rng).total
        total.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        marks.append(self._now())
        names = ("read", "encode", "train")
        parts = {name: end - start for name, start, end in zip(names, marks, marks[1:], strict=False)}
        return parts | {"step": marks[-1] - marks[0]}

    def _now(self) -> float:
        synchronize(self.device)
        return time.perf_counter()


def measure(settings: Measure) -> dict[str, Any]:
    """The results as JSON."""
    torch.set_num_threads(settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(settings, Path(folder))
        rows: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for number in range(settings.rounds + 1):
            for way in WAYS:
                row = bench.step(way, number)
                if number:  # the first step is warm-up
                    rows[way].append(row)
        middle = {
            way: {name: statistics.median(row[name] for row in steps) for name in steps[0]}
            for way, steps in rows.items()
        }
        ratios = [
            video["step"] / encoded["step"] for video, encoded in zip(rows["video"], rows["encoded"], strict=True)
        ]
        return {
            "sizes": settings.sizes,
            "frames": bench.grid.frames,
            "size": list(bench.grid.size),
            "batch": settings.batch,
            "trained_parameters": parameter_count(bench.objective.networks),
            "frozen_parameters": parameter_count(bench.encoders),
            "rounds": settings.rounds,
            "seconds": {way: {name: round(value, 5) for name, value in row.items()} for way, row in middle.items()},
            "video_over_encoded": round(statistics.median(ratios), 3),
            "middle_half_of_ratios": [round(ratio, 3) for ratio in statistics.quantiles(ratios, n=4)[::2]],
            "encoding_seconds_per_clip": round(bench.encode_seconds, 5),
            "shard_bytes_per_clip": bench.shard_bytes // settings.clips,
            "peak_device_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)
            if bench.device.type == "cuda"
            else None,
        }


def table(record: Mapping[str, Any]) -> str:
    """Results as Markdown."""
    rows = ["| training on | read, s | encode, s | train, s | step, s |", "|---|---:|---:|---:|---:|"]
    for way, label in (("encoded", "latent shards"), ("video", "video, encoded in every step")):
        seconds = record["seconds"][way]
        rows.append(
            f"| {label} | " + " | ".join(f"{seconds[name]:.3f}" for name in ("read", "encode", "train", "step")) + " |"
        )
    machine, (low, high) = record["machine"], record["middle_half_of_ratios"]
    device = machine["gpu"] or f"{machine['processor']}, {record['threads']} thread"
    height, width = record["size"]
    size, cost = f"{record['frames']} frames of {height}x{width}", record["encoding_seconds_per_clip"]
    ratio, megabytes = record["video_over_encoded"], record["shard_bytes_per_clip"] / 1e6
    spread = f"{low:.1f} to {high:.1f}"
    rows += [
        "",
        f"Sizes {record['sizes']}, clips of {size}, batch {record['batch']}: a step on video takes {ratio:.1f} times",
        f"as long (middle half of {record['rounds']} pairs of steps: {spread}). Encoding takes {cost:.2f} s",
        f"and {megabytes:.2f} MB per clip, once. On {device}.",
        "",
    ]
    return "\n".join(rows)


def main(task: Measure | Table) -> None:
    """Measure, or show."""
    if isinstance(task, Table):
        record = json.loads(task.results.read_text(encoding="utf-8"))
        if task.into is None:
            sys.stdout.write(table(record) + "\n")
            return
        text = task.into.read_text(encoding="utf-8")
        with whole_file(task.into) as temporary:
            temporary.write_text(fill_tables(text, task.results.as_posix(), table(record)), encoding="utf-8")
        return
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(task).items()}
    record = {
        "format": FORMAT,
        "version": 1,
        "command": shlex.join(["python", "benchmarks/encoded_training.py", *sys.argv[1:]]),
        "commit": source_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_record(torch.device(task.device)) | {"load_average": round(os.getloadavg()[0], 2)},
        "threads": settings["threads"],
        **measure(task),
    }
    task.out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(task.out) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(tyro.cli(Measure | Table, config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)))  # pyright: ignore
