"""Clips of the synthetic benchmark: rendered from their seeds, or taken from a pack that holds them."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.data.clip import Clip
from gen3r.data.synthetic import generate_clips
from gen3r.data.synthetic.bulk import pack_clips
from gen3r.eval.benchmarks.truth import without_far
from gen3r.latents.grid import LatentGrid

MEAN_MAP_FRAMES = 5
"""Frames of each training clip that enter the mean depth map, spread over its path."""
ARRAYS = ("rgb", "depth", "extrinsics", "intrinsics", "seeds")
Advance = Callable[[int, int], None]


def benchmark_clips(
    seeds: Sequence[int],
    grid: LatentGrid,
    device: torch.device,
    *,
    pack: Path | None = None,
    advance: Advance | None = None,
) -> list[Clip]:
    """The clips of ``seeds``, rendered on ``device``, held on the CPU.

    Args:
        seeds: of one clip each.
        grid: frames and size of the clips.
        device: where to render.
        pack: a file of packed clips (see ``gen3r.data.synthetic.bulk``) to take them from; if there is none of that
            name yet, the rendered clips are kept there. Packs hold depth as half floats.
        advance: called with (clips rendered, clips in all).

    Raises:
        ValueError: if ``pack`` is damaged, lacks a clip, or holds clips of another size; it is left as it is.
    """
    if pack is not None and pack.exists():
        return read_pack(pack, seeds, grid)
    clips = []
    for clip in generate_clips(seeds, grid.frames, grid.height, grid.width, device=device):
        clips.append(clip)
        if advance is not None:
            advance(len(clips), len(seeds))
    if pack is None:
        return clips
    pack_clips(clips, pack)
    return read_pack(pack, seeds, grid)


def training_depths(
    count: int, grid: LatentGrid, device: torch.device, advance: Advance | None = None
) -> Iterator[Float[Tensor, "F H W"]]:
    """Depth (0 = sky or far) of ``MEAN_MAP_FRAMES`` frames of each of the first ``count`` training clips."""
    clips = generate_clips(range(count), MEAN_MAP_FRAMES, grid.height, grid.width, device=device, samples=1)
    for done, clip in enumerate(clips, start=1):
        yield without_far(clip.depth)
        if advance is not None:
            advance(done, count)


def read_pack(path: Path, seeds: Sequence[int], grid: LatentGrid) -> list[Clip]:
    """The clips of ``seeds`` out of a pack.

    Raises:
        ValueError: if it is damaged, lacks a clip, or holds clips of another size.
    """
    advice = "name another file, or remove this one to render the clips again."
    try:
        with safe_open(str(path), "pt") as pack:
            captions = json.loads((pack.metadata() or {}).get("captions", "null"))
            present = set(pack.keys())
            arrays = {name: pack.get_tensor(name) for name in ARRAYS if name in present}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no pack of clips ({error}); {advice}") from error
    if len(arrays) != len(ARRAYS) or not isinstance(captions, list):
        raise ValueError(f"{path} is no pack of clips with seeds and captions; {advice}")
    size = tuple(arrays["depth"].shape[1:])
    if size != (grid.frames, *grid.size):
        expected = (grid.frames, *grid.size)
        raise ValueError(f"{path} holds clips of frames, height, width {size}, not {expected}; {advice}")
    places = {seed: place for place, seed in enumerate(arrays["seeds"].tolist())}
    missing = [seed for seed in seeds if seed not in places]
    if missing:
        raise ValueError(
            f"{path} lacks {len(missing)} of the {len(seeds)} clips, the first of seed {missing[0]}; {advice}"
        )
    return [
        Clip(
            rgb=arrays["rgb"][places[seed]],
            depth=arrays["depth"][places[seed]].float(),
            cameras=Cameras(
                arrays["extrinsics"][places[seed]], arrays["intrinsics"][places[seed]], grid.height, grid.width
            ),
            caption=captions[places[seed]],
            seed=seed,
        )
        for seed in seeds
    ]
