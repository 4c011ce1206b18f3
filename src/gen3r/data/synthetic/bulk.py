"""Many clips into one packed file, for training from memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from gen3r.data.clip import Clip, split_of
from gen3r.data.synthetic.generate import generate_clips
from gen3r.whole_file import whole_file


@dataclass(frozen=True, kw_only=True)
class BulkConfig:
    """Which clips to pack, and how."""

    out: Path
    """New file."""
    start_seed: int
    """First seed; the others follow. All must belong to one split."""
    count: int
    """Number of clips."""
    frames: int
    """Frames per clip."""
    height: int
    """Image rows in pixels."""
    width: int
    """Image columns in pixels."""
    samples: int = 2
    """Colour samples per pixel: 1, 2 or 4."""
    device: str = "cpu"
    """Where to render."""
    compiled: bool = False
    """Compile the renderer first: minutes, then about six times faster on a CPU."""


def pack_clips(clips: Iterable[Clip], path: Path) -> None:
    """Write clips of one size as one safetensors file, whole or not at all.

    Keys: rgb uint8 [N,F,H,W,3], depth float16 [N,F,H,W] (0 = sky), extrinsics float32 [N,F,4,4] world-to-camera,
    intrinsics float32 [N,F,3,3] pixels, seeds int64 [N]; captions as a JSON list in the metadata.
    """
    listed = list(clips)
    tensors = {
        "rgb": torch.stack([clip.rgb for clip in listed]),
        "depth": torch.stack([clip.depth for clip in listed]).half(),
        "extrinsics": torch.stack([clip.cameras.extrinsics for clip in listed]).float(),
        "intrinsics": torch.stack([clip.cameras.intrinsics for clip in listed]).float().contiguous(),
        "seeds": torch.tensor([clip.seed for clip in listed]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={"captions": json.dumps([clip.caption for clip in listed])})


def generate_pack(config: BulkConfig, progress: Callable[[int, int], None] | None = None) -> Path:
    """Generate and pack; ``progress`` is told (finished, total).

    Raises:
        ValueError: before any work, if the file is already there or the seeds do not all belong to one split.
    """
    if config.out.exists():
        raise ValueError(f"expected a new file for the pack, but {config.out} exists; name another one.")
    last = config.start_seed + config.count - 1
    if split_of(config.start_seed) != split_of(last):
        raise ValueError(f"seeds {config.start_seed}..{last} cross a split; pack each split on its own.")
    clips = []
    for clip in generate_clips(
        range(config.start_seed, last + 1),
        config.frames,
        config.height,
        config.width,
        device=config.device,
        samples=config.samples,
        compiled=config.compiled,
    ):
        clips.append(clip)
        if progress is not None:
            progress(len(clips), config.count)
    pack_clips(clips, config.out)
    return config.out
