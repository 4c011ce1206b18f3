"""What each option for speed saves and changes: time of a denoising step, memory, drift of the results.

python benchmarks/acceleration.py measure --out benchmarks/results/acceleration_cpu.json
python benchmarks/acceleration.py table benchmarks/results/acceleration_cpu.json --into docs/performance.md

All options run in turns, round after round, so that what else the machine does touches them alike.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor

from gen3r.data.clip import FIRST_HELD_OUT_SEED
from gen3r.data.synthetic import generate_clip
from gen3r.eval.machine import machine_record, source_commit
from gen3r.eval.metrics.depth import depth_errors
from gen3r.eval.metrics.psnr import psnr
from gen3r.eval.report import fill_tables
from gen3r.pipeline import Gen3RPipeline, SceneRequest
from gen3r.pipeline.acceleration import ATTENTION_BACKENDS, Acceleration, accelerated
from gen3r.pipeline.cameras import CameraPath
from gen3r.pipeline.denoise import Sampling, denoise
from gen3r.pipeline.guidance import GuidanceMode
from gen3r.pipeline.request import place_request
from gen3r.pipeline.step_cache import FirstBlockCache, MagnitudeCache, TaylorCache, calibrate_magnitudes
from gen3r.whole_file import whole_file

FORMAT = "gen3r-acceleration"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Option:
    """One row of the table."""

    acceleration: Acceleration = field(default_factory=Acceleration)
    """What is switched on."""
    mode: GuidanceMode = "passes"
    """How guidance is computed."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Measure every option on one model."""

    out: Path
    """Results file (JSON); replaced if it is there."""
    model: str = "tiny"
    """Name or folder of the model."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    """Where it runs."""
    dtype: str | None = None
    """Type of the networks, e.g. bfloat16, which some attention backends need; left out, as stored."""
    steps: int = 20
    """Denoising steps."""
    guidance: float = 3.0
    """Text guidance."""
    scenes: int = 4
    """Scenes over which drift is averaged; time is taken on the first."""
    rounds: int = 9
    """Timed runs of each option; the median counts."""
    only: tuple[str, ...] = ()
    """Measure these options alone, by their names in the table, besides the default; none = all of them."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Show results as a table."""

    results: tyro.conf.Positional[Path]
    """Results file."""
    into: Path | None = None
    """Document whose marked place takes the table; left out, it is printed."""


class Bench:
    """A model, the scenes it generates, and what the default makes of them."""

    def __init__(self, settings: Measure) -> None:
        self.settings, self.device = settings, torch.device(settings.device)
        dtype = None if settings.dtype is None else getattr(torch, settings.dtype)
        self.pipeline = Gen3RPipeline.from_pretrained(settings.model, device=self.device, dtype=dtype, memory=None)
        self.grid = self.pipeline.grid()
        self.inputs = [self._inputs(FIRST_HELD_OUT_SEED + scene) for scene in range(settings.scenes)]
        self.magnitudes = calibrate_magnitudes(self.pipeline.transformer, lambda: self.run(Option()), settings.steps)
        self.expected = [self.run(Option(), scene) for scene in range(settings.scenes)]
        self.decoded = [self.pipeline.decode(latents, self.grid) for latents in self.expected]

    def _inputs(self, seed: int) -> tuple[Tensor, Any, Tensor]:
        """Noise, condition and negative text of a rendered scene's first frame and its caption."""
        clip = generate_clip(seed, self.grid.frames, *self.grid.size)
        request = SceneRequest(views=clip.rgb[:1].permute(0, 3, 1, 2).float() / 255, prompt=clip.caption)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, *self.grid.joint_shape, generator=generator).to(self.device)
        path = CameraPath(cameras=None, scale=1.0, source="free")
        with torch.no_grad():
            condition = self.pipeline.encode_conditions(
                [request], [place_request(request, self.grid)], [path], self.grid, [generator]
            )
            negative = self.pipeline.conditioner.text_features([self.pipeline.config.negative_prompt])
        return noise, condition, negative.expand_as(condition.text)

    @torch.no_grad()
    def run(self, option: Option, scene: int = 0) -> Tensor:
        """Latents of a scene."""
        noise, condition, negative = self.inputs[scene]
        sampling = Sampling(
            steps=self.settings.steps,
            shift=self.pipeline.config.shift,
            guidance=self.settings.guidance,
            guidance_skip=option.acceleration.guidance_skip,
        )
        transformer = self.pipeline.transformer
        with accelerated(transformer, option.acceleration, sampling.steps):
            return denoise(transformer, noise, condition, negative, sampling, mode=option.mode)

    def seconds(self, option: Option) -> float:
        """Time of a run."""
        self._wait()
        started = time.perf_counter()
        self.run(option)
        self._wait()
        return time.perf_counter() - started

    def drift(self, option: Option) -> dict[str, float]:
        """How far latents, frames and depth are from the default's, averaged over scenes."""
        rows = []
        for scene, expected in enumerate(self.expected):
            latents = self.run(option, scene)
            frames, output = self.pipeline.decode(latents, self.grid)
            same_frames, same_output = self.decoded[scene]
            depth, same_depth = output.depth[0].float(), same_output.depth[0].float()
            valid = (same_depth > 0) & (same_depth < self.pipeline.config.far)
            rows.append(
                {
                    "latents_rms": float((latents - expected).norm() / expected.norm()),
                    "frames_psnr": float(psnr(_pictures(frames), _pictures(same_frames)).mean()),
                    "depth_absrel": depth_errors(depth, same_depth, valid).absrel,
                }
            )
        return {name: statistics.mean(row[name] for row in rows) for name in rows[0]}

    def work(self, option: Option) -> int:
        """How many samples went through the last block in a run, compiled or not."""
        samples: list[int] = []
        block = self.pipeline.transformer.blocks[-1]
        hook = block.attn1.register_forward_hook(lambda _module, inputs, _output: samples.append(len(inputs[0])))  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
        try:
            self.run(replace(option, acceleration=replace(option.acceleration, compile=False)))
        finally:
            hook.remove()
        return sum(samples)

    def peak_bytes(self, option: Option) -> int | None:
        """Most device memory allocated during a run; None on the CPU."""
        if self.device.type != "cuda":
            return None
        torch.cuda.reset_peak_memory_stats(self.device)
        self.run(option)
        return torch.cuda.max_memory_allocated(self.device)

    def options(self) -> dict[str, Option]:
        """What is measured, by the name in the table."""
        ratios = self.magnitudes
        caches = {
            "first_block, 0.05": FirstBlockCache(threshold=0.05),
            "first_block, 0.1": FirstBlockCache(threshold=0.1),
            "first_block, 0.2": FirstBlockCache(threshold=0.2),
            "mag, 0.06": MagnitudeCache(ratios=ratios, threshold=0.06),
            "mag, 0.24": MagnitudeCache(ratios=ratios, threshold=0.24),
            "taylorseer, every 2nd": TaylorCache(interval=2),
            "taylorseer, every 3rd": TaylorCache(interval=3),
            "taylorseer, every 5th": TaylorCache(interval=5),
        }
        options = {"default": Option(), "default again": Option(), "guidance in one batch": Option(mode="batch")}
        options |= {
            f"guidance_skip {skip}": Option(acceleration=Acceleration(guidance_skip=skip)) for skip in (0.25, 0.5)
        }
        options |= {
            f"attention {name}": Option(acceleration=Acceleration(attention=name)) for name in ATTENTION_BACKENDS
        }
        options |= {f"cache {name}": Option(acceleration=Acceleration(cache=cache)) for name, cache in caches.items()}
        both = Acceleration(cache=TaylorCache(interval=2), guidance_skip=0.25)
        options["guidance_skip 0.25, taylorseer, every 2nd"] = Option(acceleration=both)
        options["compile"] = Option(acceleration=Acceleration(compile=True))
        options["compile, guidance_skip 0.25, taylorseer, every 2nd"] = Option(acceleration=replace(both, compile=True))
        wanted = ("default", *(self.settings.only or options))
        if unknown := set(wanted) - set(options):
            raise ValueError(f"no options named {sorted(unknown)}; expected some of {sorted(options)}.")
        return {name: option for name, option in options.items() if name in wanted}

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def measure(settings: Measure) -> dict[str, Any]:
    """Everything about one measurement, JSON-able."""
    bench = Bench(settings)
    rows: dict[str, dict[str, Any]] = {}
    options = bench.options()
    for name, option in list(options.items()):
        try:
            first = bench.seconds(option)
        except ValueError as error:
            rows[name] = {"unavailable": str(error)}
            del options[name]
        else:
            rows[name] = {"first_run_seconds": first}
        logger.info("%s: %s", name, rows[name])
    taken: dict[str, list[float]] = {name: [] for name in options}
    for _ in range(settings.rounds):
        for name, option in options.items():
            taken[name].append(bench.seconds(option))
    usual, work = taken["default"], bench.work(options["default"])
    for name, option in options.items():
        rows[name] |= {
            "milliseconds_per_step": 1000 * statistics.median(taken[name]) / settings.steps,
            "relative_time": statistics.median(mine / other for mine, other in zip(taken[name], usual, strict=True)),
            "blocks_run": bench.work(option) / work,
            "peak_bytes": bench.peak_bytes(option),
            **bench.drift(option),
        }
        logger.info("%s: %s", name, rows[name])
    return {
        "format": FORMAT,
        "version": 1,
        "command": " ".join(["python", "benchmarks/acceleration.py", *sys.argv[1:]]),
        "commit": source_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_record(bench.device),
        "model": settings.model,
        "dtype": str(bench.pipeline.transformer.dtype).removeprefix("torch."),
        "frames": bench.grid.frames,
        "size": list(bench.grid.size),
        "steps": settings.steps,
        "guidance": settings.guidance,
        "scenes": settings.scenes,
        "rounds": settings.rounds,
        "magnitude_ratios": [round(ratio, 5) for ratio in bench.magnitudes],
        "options": {name: {key: _short(value) for key, value in row.items()} for name, row in rows.items()},
    }


def table(record: dict[str, Any]) -> str:
    """The results as a Markdown table, and a line that says what was measured."""
    machine = record["machine"]
    where = machine["gpu"] or f"{machine['processor']}, {machine['threads']} thread(s)"
    shown = {name: row for name, row in record["options"].items() if "unavailable" not in row}
    memory = any(row["peak_bytes"] for row in shown.values())
    lines = [
        "| option | time of a step | blocks run | latents moved | frames | depth |"
        + (" peak memory |" if memory else ""),
        "|---|---:|---:|---:|---:|---:|" + ("---:|" if memory else ""),
    ]
    for name, row in shown.items():
        moved = row["latents_rms"] > 0
        cells = [
            name,
            f"{row['milliseconds_per_step']:.1f} ms" if name == "default" else f"x {row['relative_time']:.2f}",
            f"{100 * row['blocks_run']:.0f} %",
            f"{100 * row['latents_rms']:.2g} %" if moved else "-",
            f"{row['frames_psnr']:.1f} dB" if moved else "-",
            f"{100 * row['depth_absrel']:.2g} %" if moved else "-",
        ]
        if memory:
            cells.append(f"{row['peak_bytes'] / 2**20:.0f} MiB")
        lines.append("| " + " | ".join(cells) + " |")
    missing = [name for name, row in record["options"].items() if "unavailable" in row]
    height, width = record["size"]
    lines += [
        "",
        f"Model {record['model']} ({record['dtype']}, {record['frames']} frames of {height}x{width}), "
        f"{record['steps']} steps, guidance {record['guidance']:g}; {where}, torch {machine['torch']}. Times are "
        f"medians of {record['rounds']} rounds, each beside the default of its round; drift is the mean of "
        f"{record['scenes']} scenes.",
    ]
    if missing:
        lines.append("Not usable there: " + ", ".join(f"`{name.removeprefix('attention ')}`" for name in missing) + ".")
    return "\n".join(lines) + "\n"


def _pictures(frames: Tensor) -> Tensor:
    return frames[0].permute(0, 3, 1, 2).float() / 255


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main(command: Measure | Table) -> None:
    """See the top of this file."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if isinstance(command, Measure):
        text = json.dumps(measure(command), indent=1, allow_nan=False) + "\n"
        command.out.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(command.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return
    shown = table(json.loads(command.results.read_text(encoding="utf-8")))
    if command.into is None:
        sys.stdout.write(shown)
        return
    filled = fill_tables(command.into.read_text(encoding="utf-8"), command.results.as_posix(), shown)
    with whole_file(command.into) as temporary:
        temporary.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Measure | Table, description=__doc__))
