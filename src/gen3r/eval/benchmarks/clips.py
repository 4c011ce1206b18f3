"""Clips of the synthetic benchmark: rendered from their seeds, or taken from a file that holds exactly those."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.data.clip import Clip
from gen3r.data.synthetic import generate_clips
from gen3r.eval.benchmarks.truth import without_far
from gen3r.latents.grid import LatentGrid

MEAN_MAP_FRAMES = 5
"""Frames of each training clip that enter the mean depth map, spread over its path."""
Advance = Callable[[int, int], None]


def benchmark_clips(
    seeds: Sequence[int],
    grid: LatentGrid,
    device: torch.device,
    *,
    file: Path | None = None,
    advance: Advance | None = None,
) -> list[Clip]:
    """The clips of ``seeds``, rendered on ``device``, held on the CPU; ``file`` keeps them for the next time.

    Raises:
        ValueError: if ``file`` holds other clips than these; nothing is overwritten.
    """
    if file is not None and file.exists():
        return _load(file, seeds, grid)
    clips = []
    for clip in generate_clips(seeds, grid.frames, grid.height, grid.width, device=device):
        clips.append(clip)
        if advance is not None:
            advance(len(clips), len(seeds))
    if file is not None:
        _save(file, clips)
    return clips


def training_depths(
    count: int, grid: LatentGrid, device: torch.device, advance: Advance | None = None
) -> Iterator[Float[Tensor, "F H W"]]:
    """Depth (0 = sky or far) of ``MEAN_MAP_FRAMES`` frames of each of the first ``count`` training clips."""
    clips = generate_clips(range(count), MEAN_MAP_FRAMES, grid.height, grid.width, device=device, samples=1)
    for done, clip in enumerate(clips, start=1):
        yield without_far(clip.depth)
        if advance is not None:
            advance(done, count)


def _save(file: Path, clips: Sequence[Clip]) -> None:
    arrays = {
        "rgb": torch.stack([clip.rgb for clip in clips]),
        "depth": torch.stack([clip.depth for clip in clips]),
        "extrinsics": torch.stack([clip.cameras.extrinsics for clip in clips]),
        "intrinsics": torch.stack([clip.cameras.intrinsics for clip in clips]),
    }
    metadata = {
        "captions": json.dumps([clip.caption for clip in clips]),
        "seeds": json.dumps([clip.seed for clip in clips]),
    }
    temporary = file.with_name(f".{file.name}.partial")
    try:
        save_file({name: array.contiguous() for name, array in arrays.items()}, temporary, metadata=metadata)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _load(file: Path, seeds: Sequence[int], grid: LatentGrid) -> list[Clip]:
    advice = "name another file, or remove this one to render the clips again."
    try:
        with safe_open(str(file), "pt") as pack:
            metadata = pack.metadata() or {}
            arrays = {name: pack.get_tensor(name) for name in pack.keys()}  # noqa: SIM118  not a dictionary
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged or no file of clips ({error}); {advice}") from error
    stored = json.loads(metadata.get("seeds", "[]"))
    size = tuple(arrays["depth"].shape[1:]) if "depth" in arrays else ()
    if stored != list(seeds) or size != (grid.frames, *grid.size):
        raise ValueError(
            f"{file} holds {len(stored)} clips of frames, height, width {size}, not the {len(seeds)} clips from seed "
            f"{seeds[0]} of {(grid.frames, *grid.size)}; {advice}"
        )
    captions = json.loads(metadata["captions"])
    return [
        Clip(
            rgb=arrays["rgb"][index],
            depth=arrays["depth"][index],
            cameras=Cameras(arrays["extrinsics"][index], arrays["intrinsics"][index], grid.height, grid.width),
            caption=captions[index],
            seed=seed,
        )
        for index, seed in enumerate(seeds)
    ]
