"""How fast a recipe goes here: rendering, encoding, and the steps of every leg, as `gen3r train all` takes them.

python benchmarks/training_rate.py --preset small --out benchmarks/results/training_rate_h100.json   # about 4 minutes
python benchmarks/training_rate.py --preset tiny --clips 4 --steps 2 --out rate.json                  # any CPU

The first thing to run on a GPU: it shows in minutes whether every leg works there, how long rendering takes, and how
many steps and clips the minutes of the recipe make. Networks have random weights; clips are rendered.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import tyro
from measure.ceiling import synchronize

from gen3r.data.synthetic.generate import render_shot
from gen3r.data.synthetic.shots import plan_shots
from gen3r.eval.machine import machine_record, source_commit
from gen3r.hub.folder import save_network
from gen3r.hub.networks import ADAPTER, VAE, VGGT_FOLDER
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vggt import VGGT
from gen3r.presets import load_preset
from gen3r.presets.recipe import Leg, Recipe
from gen3r.presets.stages import Preset
from gen3r.train.recipe.clips import ClipStock, leg_preset
from gen3r.train.recipe.run import set_device_up
from gen3r.train.stages import prepare
from gen3r.whole_file import whole_file

logger = logging.getLogger(__name__)
SEED = 700_000_000
"""First of the scenes that are rendered, far from those of runs."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    out: Path
    """Results file (JSON), written anew after each part."""
    preset: str = "small"
    """Whose recipe."""
    legs: tuple[str, ...] = ()
    """Legs to measure; none: all that need no trained model."""
    clips: int = 256
    """Clips in memory."""
    steps: int = 20
    """Steps that are timed."""
    warmup: int = 4
    """Steps before; the first one compiles."""
    seconds: float = 25.0
    """Seconds of a leg after which no further step is begun."""
    batch_size: int | None = None
    """In place of that of every leg."""
    compile: bool | None = None
    """Whether to compile blocks; left out, as each leg says."""
    workers: int | None = None
    """Processes that plan scenes; left out, all cores but one on a GPU and none on a CPU."""


def main(options: Options) -> None:
    """Measure, part after part; what fails is noted, and the others follow."""
    preset = load_preset(options.preset)
    if preset.recipe is None:
        raise ValueError(f"{preset.name} has no recipe.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    set_device_up(device)
    record: dict[str, Any] = {
        "format": "gen3r training rate",
        "version": 1,
        "commit": source_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_record(device) | {"load_average": round(os.getloadavg()[0], 2)},
        "preset": preset.name,
        "rendering": [],
        "legs": [],
    }
    chosen = [leg for leg in preset.recipe.legs if leg.name in (options.legs or [leg.name])]
    sides = sorted({leg.side or preset.height for leg in chosen})
    for side in sides:
        note(record, "rendering", options, lambda side=side: rendering(preset, side, options, device))
    with tempfile.TemporaryDirectory() as place:
        networks = random_networks(preset, Path(place))
        stock = ClipStock(
            run=Path(place),
            data=(),
            validation=(),
            limit=options.clips,
            sitting=0,
            seconds=120.0,
            device=device,
            tell=logger.info,
        )
        for leg in sorted(chosen, key=lambda leg: leg.side or preset.height):
            run = Path(place) / leg.name
            note(
                record,
                "legs",
                options,
                lambda leg=leg, run=run: steps(preset, leg, run, networks, stock, options, device),
            )
    for row in record["legs"]:
        logger.info("%s", row)


def note(record: dict[str, Any], part: str, options: Options, work: Callable[[], dict[str, Any]]) -> None:
    """One row of the results; that something fails here is a result, too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        row = work()
    except Exception as error:
        logger.exception("%s failed", part)
        row = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    logger.info("%s: %s", part, row)
    record[part].append(row)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(options.out) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def rendering(preset: Preset, side: int, options: Options, device: torch.device) -> dict[str, Any]:
    """Planning and drawing some clips, apart from each other."""
    on_gpu = device.type == "cuda"
    count = max(4, min(32, options.clips)) if on_gpu else 2
    workers = (max(1, (os.cpu_count() or 2) - 1) if on_gpu else 0) if options.workers is None else options.workers
    began = time.perf_counter()
    shots = list(plan_shots(range(SEED, SEED + count * (8 if workers else 1)), preset.frames, workers))
    planned = time.perf_counter() - began
    row = {"side": side, "frames": preset.frames, "workers": workers, "planned_per_s": round(len(shots) / planned, 2)}
    for compiled in (False, True) if on_gpu else (False,):
        times = []
        for shot in shots[: count + 2]:
            synchronize(device)
            began = time.perf_counter()
            render_shot(shot, side, side, device, device, samples=2, compiled=compiled)
            synchronize(device)
            times.append(time.perf_counter() - began)
        name = "compiled" if compiled else "eager"
        row[f"{name}_frames_per_s"] = round(preset.frames / statistics.median(times), 1)
        row[f"{name}_slowest_s"] = round(max(times), 2)
    return row


def random_networks(preset: Preset, place: Path) -> Sequence[Path]:
    """What adapter and diffusion build on, not trained."""
    torch.manual_seed(0)
    folder = place / "networks"
    save_network(VGGT(preset.vggt.network), preset.vggt.network, folder / VGGT_FOLDER)
    save_network(LinearShortcutVAE(preset.vae.network), preset.vae.network, folder / VAE)
    save_network(GeometryAdapter(preset.adapter.network), preset.adapter.network, folder / ADAPTER)
    return [folder]


def steps(
    preset: Preset,
    leg: Leg,
    run: Path,
    networks: Sequence[Path],
    stock: ClipStock,
    options: Options,
    device: torch.device,
) -> dict[str, Any]:
    """The steps of one leg as `gen3r train all` takes them, without validation and saving."""
    recipe = preset.recipe
    assert isinstance(recipe, Recipe)
    sized = leg_preset(preset, leg.stage, leg.side, dict(leg.settings))
    overrides: dict[str, Any] = dict(leg.loop) | {"validate_every": 0, "sample_every": 0}
    if options.batch_size is not None:
        overrides["batch_size"] = options.batch_size
    if options.compile is not None:
        overrides["compile"] = options.compile
    clips, _ = stock.of(sized, leg.stage, 0)
    began = time.perf_counter()
    trainer = prepare(leg.stage, sized, run, clip_sources=(clips, None), networks=networks, overrides=overrides)
    synchronize(device)
    row: dict[str, Any] = {
        "leg": leg.name,
        "side": sized.height,
        "batch": trainer.batches.batch_size,
        "compile": trainer.config.compile,
        "ready_s": round(time.perf_counter() - began, 2),
        "clips": len(clips),
    }
    times: list[float] = []
    limit = time.perf_counter() + options.seconds
    for number in range(options.warmup + options.steps):
        started = time.perf_counter()
        trainer.optimizer_step()
        trainer.step += 1
        if number < options.warmup:
            synchronize(device)
            times.append(time.perf_counter() - started)
        if number == options.warmup - 1:
            began = time.perf_counter()
        if time.perf_counter() > limit and number >= options.warmup:
            break
    synchronize(device)
    timed = number + 1 - options.warmup
    each = (time.perf_counter() - began) / timed
    trainer.micro_batches.loader.close()
    trainer.saver.close()
    return row | {
        "first_step_s": round(times[0], 2),
        "ms_per_step": round(1000 * each, 2),
        "samples_per_s": round(trainer.batches.batch_size / each, 1),
        "steps_in_recipe": round(recipe.seconds(leg) / each),
        **_memory(device),
    }


def _memory(device: torch.device) -> dict[str, Any]:
    return {"peak_gb": round(torch.cuda.max_memory_allocated(device) / 1e9, 2)} if device.type == "cuda" else {}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    main(tyro.cli(Options, description=__doc__))
