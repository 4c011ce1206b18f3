"""One scene from one view, watched."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.hub.load import TEXT_ENCODER, Networks
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline import Gen3RPipeline, PipelineConfig
from gen3r.pipeline.acceleration import Acceleration
from gen3r.pipeline.denoise import Sampling
from gen3r.pipeline.memory import NETWORKS, MemoryProfile
from gen3r.pipeline.request import FREE
from gen3r.scene.scene import Scene
from measure.ceiling import Ceiling, matmul_ceiling, synchronize
from measure.counting import GenerationFlops, generation_flops
from measure.networks import PROMPT, KnownText, Place, make_text, parameter_count, pipeline_networks
from measure.record import GIB, peak_host_gib, rounded
from measure.sizes import Sizes
from measure.stopwatch import Stopwatch, Watched

logger = logging.getLogger(__name__)
HALF = frozenset(NETWORKS) - {"vggt", "geometry_adapter"}
"""Networks that take the type asked for; geometry is computed in float32."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What is generated, and how."""

    sizes: Sizes
    """Of the networks."""
    grid: LatentGrid
    """Of the clip."""
    sampling: Sampling
    """Steps and guidance."""
    cameras: str
    """Name of a trajectory, whose size VGGT reads in the view, or "free"."""
    device: torch.device
    """Where the networks work."""
    dtype: torch.dtype
    """Type of the networks in ``HALF``; a profile says its own."""
    profile: MemoryProfile | None
    """How memory is saved; None holds everything on the device."""
    acceleration: Acceleration
    """What is traded for speed. With a step cache the speed of the steps is not told: not all of a step is computed."""
    text_first: bool
    """Encode the prompts before any other network is made, then drop the text encoder."""
    warmup_steps: int
    """Denoising steps of an unwatched run before the watched one; 0 for none."""


def measure_generation(asked: Generation, report: Callable[[dict[str, Any]], None]) -> None:
    """Generate and measure. ``report`` is given the results so far whenever there are new ones."""
    results: dict[str, Any] = {}

    def tell(name: str, value: Any) -> None:
        results[name] = value
        logger.info("%s: %s", name, value)
        report(results)

    ceiling = matmul_ceiling(asked.device, _working_type(asked))
    tell("ceiling", asdict(ceiling))
    flops = generation_flops(
        asked.sizes, asked.grid, prompts=_prompts(asked), views_read=0 if asked.cameras == FREE else 1
    )
    tell("flops", asdict(flops))
    watch = Stopwatch(asked.device)
    started = time.perf_counter()
    text_before = Stopwatch(asked.device)
    networks = _networks(asked, text_before, tell)
    pipeline = _pipeline(asked, networks)
    watch.watch(_watched(networks))
    tell("making_seconds", round(time.perf_counter() - started, 3))
    if asked.warmup_steps:
        _generate(pipeline, asked, asked.warmup_steps, lambda done, total: None)
        watch.reset()

    marks = []

    def step_done(done: int, total: int) -> None:
        synchronize(asked.device)
        marks.append(time.perf_counter())
        logger.info("step %d/%d", done, total)

    synchronize(asked.device)
    started = time.perf_counter()
    scene = _generate(pipeline, asked, asked.sampling.steps, step_done)
    synchronize(asked.device)
    total = time.perf_counter() - started
    watch.close()
    before = text_before.watched
    total += sum(seen.seconds for seen in before.values())
    tell("total_seconds", round(total, 4))
    ceiling = max(ceiling, matmul_ceiling(asked.device, _working_type(asked)), key=lambda each: each.flops_per_second)
    tell("ceiling", asdict(ceiling))
    tell("stages", _stages(before | watch.watched, scene, flops, total))
    tell("denoising", _denoising(asked, flops, marks, watch.watched["transformer"], ceiling))
    tell("memory_gib", _memory(watch, text_before))
    tell("pixels_with_surface", round(float(scene.mask.float().mean()), 4))


def _working_type(asked: Generation) -> torch.dtype:
    return asked.dtype if asked.profile is None else asked.profile.dtypes["transformer"]


def _prompts(asked: Generation) -> int:
    return 2 if asked.sampling.guidance != 1.0 else 1


def _places(asked: Generation) -> dict[str, Place]:
    if asked.profile is None:
        return {
            name: Place(device=asked.device, dtype=asked.dtype if name in HALF else torch.float32) for name in NETWORKS
        }
    placements = asked.profile.placements(asked.device)
    return {name: Place(device=at.device, dtype=at.dtype or torch.float32) for name, at in placements.items()}


@torch.no_grad()
def _networks(asked: Generation, text_before: Stopwatch, tell: Callable[[str, Any], None]) -> Networks:
    places, counts = _places(asked), {}

    def made(name: str, network: nn.Module) -> None:
        counts[name] = parameter_count(network)
        logger.info("made %s, %.3f G parameters", name, counts[name] / 1e9)
        if asked.profile is not None:
            asked.profile.store(name, network)

    text = None
    if asked.text_first:
        encoder = make_text(asked.sizes, places[TEXT_ENCODER])
        made(TEXT_ENCODER, encoder)
        text_before.watch({"text": encoder.encoder})
        features = {prompt: encoder.encode([prompt]).to(asked.device) for prompt in (PROMPT, "")[: _prompts(asked)]}
        text_before.close()
        text = KnownText(features, encoder)
        del encoder
    networks = pipeline_networks(asked.sizes, places, text=text, made=made)
    tell("parameters", counts)
    return networks


def _pipeline(asked: Generation, networks: Networks) -> Gen3RPipeline:
    config = PipelineConfig(
        name="random weights",
        frames=asked.grid.frames,
        height=asked.grid.height,
        width=asked.grid.width,
        shift=asked.sampling.shift,
        text_length=asked.sizes.transformer.text_length,
        conditioning=ConditioningConfig(normalize_scale=False, image_pixels="official"),
    )
    return Gen3RPipeline(networks, config, acceleration=asked.acceleration, memory=asked.profile, device=asked.device)


def _watched(networks: Networks) -> dict[str, nn.Module]:
    """Networks by the name of what they do in a run."""
    vae, vggt = networks.appearance.vae.vae, networks.geometry.vggt
    named = {
        "vae_encode": vae.encoder,
        "vggt_aggregator": vggt.aggregator,
        "transformer": networks.transformer,
        "vae_decode": vae.decoder,
        "adapter_decode": networks.geometry.adapter.decoder,
        "depth_head": vggt.depth_head,
        "point_head": vggt.point_head,
        "camera_head": vggt.camera_head,
    }
    assert networks.image is not None
    if not isinstance(networks.text, KnownText):
        named["text"] = networks.text.encoder
    return named | {"image": networks.image.vision}


def _generate(pipeline: Gen3RPipeline, asked: Generation, steps: int, step_done: Callable[[int, int], None]) -> Scene:
    view = torch.rand(1, 3, *asked.grid.size, generator=torch.Generator().manual_seed(0))
    return pipeline(
        view, PROMPT, cameras=asked.cameras, steps=steps, guidance=asked.sampling.guidance, generator=0,
        callback=step_done,
    )  # fmt: skip


def _stages(
    watched: Mapping[str, Watched], scene: Scene, flops: GenerationFlops, total: float
) -> dict[str, dict[str, float]]:
    """Seconds, operations and speed of each network; and of the pipeline's stages, which include everything else."""
    stages = {}
    for name, seen in watched.items():
        stages[name] = {"seconds": seen.seconds, "calls": seen.calls}
        if seen.peak_bytes:
            stages[name]["peak_device_gib"] = seen.peak_bytes / GIB
        operations = flops.networks.get(name)
        if operations is not None and seen.seconds > 0:
            stages[name] |= {"tflop": operations / 1e12, "tflop_per_second": operations / seen.seconds / 1e12}
    for name, seconds in scene.provenance["timings"].items():
        stages[f"pipeline_{name.removesuffix('_seconds')}"] = {"seconds": seconds}
    stages["outside_networks"] = {"seconds": total - sum(seen.seconds for seen in watched.values())}
    return {name: rounded(values) for name, values in stages.items()}


def _denoising(
    asked: Generation, flops: GenerationFlops, marks: list[float], transformer: Watched, ceiling: Ceiling
) -> dict[str, float]:
    """Steps after the first, which also computes what a run needs once."""
    gaps = [after - before for before, after in pairwise(marks)]
    numbers: dict[str, float] = {"forward_passes": transformer.calls}
    if gaps:
        numbers["seconds_per_step"] = sum(gaps) / len(gaps)
    if asked.acceleration.cache is not None:
        return rounded(numbers)
    once, step = flops.transformer_once, flops.transformer_step
    branches = [1 + asked.sampling.guided(index) for index in range(asked.sampling.steps)]
    operations = sum(branches) * step + max(branches) * once
    numbers |= {"tflop": operations / 1e12, **_speed("transformer", operations / transformer.seconds, ceiling)}
    if gaps:
        numbers |= _speed("steps", sum(branches[1:]) * step / sum(gaps), ceiling)
    return rounded(numbers)


def _speed(name: str, achieved: float, ceiling: Ceiling) -> dict[str, float]:
    return {
        f"{name}_tflop_per_second": achieved / 1e12,
        f"{name}_fraction_of_ceiling": achieved / ceiling.flops_per_second,
    }


def _memory(*watches: Stopwatch) -> dict[str, float | None]:
    cuda = watches[0].device.type == "cuda"
    return {
        "device_allocated": round(max(watch.peak_allocated for watch in watches) / GIB, 3) if cuda else None,
        "device_reserved": round(max(watch.peak_reserved for watch in watches) / GIB, 3) if cuda else None,
        "host": round(peak_host_gib(), 3),
    }
