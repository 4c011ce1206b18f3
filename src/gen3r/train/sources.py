"""Where training clips come from: packed files held in memory, or procedural scenes generated from their seeds."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from safetensors import safe_open
from torch import Tensor

from gen3r.data.clip import Split, split_of
from gen3r.data.synthetic.generate import render_shot
from gen3r.data.synthetic.shots import Shot, plan_shots
from gen3r.train.order import DataOrder, Order

ARRAYS = ("rgb", "depth", "extrinsics", "intrinsics")


@dataclass(frozen=True)
class Clips:
    """Some clips of one size, world frames as generated (not re-based)."""

    rgb: UInt8[Tensor, "n frames height width 3"]
    """Colours."""
    depth: Float[Tensor, "n frames height width"] | None
    """z-depth in scene units, 0 = sky; None: unknown."""
    extrinsics: Float[Tensor, "n frames 4 4"]
    """Camera-from-world."""
    intrinsics: Float[Tensor, "n frames 3 3"]
    """Pixels of this size."""
    captions: tuple[str, ...]
    """One caption per clip."""


class ClipSource(ABC):
    """Random access to clips of one size. Safe to read from several threads."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips."""

    @abstractmethod
    def get(self, items: Sequence[int], frames: int | None = None) -> Clips:
        """The clips with these numbers, of ``frames`` frames each; None: of as many as they have by themselves."""

    @property
    def has_depth(self) -> bool:
        """Whether the clips have depth, all of them."""
        return True

    def order(self, seed: int) -> Order:
        """Which item stands where in the endless data of a run: every item once per shuffled epoch."""
        return DataOrder(len(self), seed)

    def name(self, item: int) -> str:
        """What to call an item in messages."""
        return f"clip {item}"


class HeldClips(ClipSource):
    """Clips in memory, on any device, as bytes and half floats."""

    arrays: dict[str, Tensor]
    """``rgb`` uint8 [N,F,H,W,3], ``depth`` float16 [N,F,H,W], ``extrinsics`` [N,F,4,4], ``intrinsics`` [N,F,3,3]."""
    captions: list[str]
    """One per clip."""

    def __len__(self) -> int:
        return len(self.captions)

    def get(self, items: Sequence[int], frames: int | None = None) -> Clips:
        """Copies of these clips, their first ``frames``; depth as float32."""
        index = torch.as_tensor(items, device=self.arrays["rgb"].device)
        rgb, depth, extrinsics, intrinsics = (self.arrays[name][index, :frames] for name in ARRAYS)
        return Clips(
            rgb, depth.float(), extrinsics.float(), intrinsics.float(), tuple(self.captions[item] for item in items)
        )

    def to(self, device: torch.device | str) -> HeldClips:
        """Move every array: batches are then made where they are used."""
        self.arrays = {name: value.to(device) for name, value in self.arrays.items()}
        return self


class PackedClips(HeldClips):
    """Clips of one or more safetensors packs, held in memory.

    A pack has ``rgb`` uint8 [N,F,H,W,3], ``depth`` float16 [N,F,H,W], ``extrinsics`` [N,F,4,4], ``intrinsics``
    [N,F,3,3], and its captions as a JSON list in the metadata entry ``captions`` or in a file of the same name with the
    suffix ``.json``. Packs of generated scenes also have ``seeds`` [N], which tell the split.
    """

    def __init__(self, files: Sequence[Path], limit: int | None = None, split: Split | None = None) -> None:
        """Read at most ``limit`` clips.

        With ``split``, packs with seeds of another one are refused; a pack without seeds belongs where its owner says.

        Raises:
            ValueError: for no files, a missing file, packs of different frame sizes, or seeds of another split.
        """
        if not files:
            raise ValueError(
                "expected at least one pack of clips, got none; make some with `gen3r synth` or train from seeds."
            )
        counts = [_count(Path(file), split) for file in files]
        total = min(sum(counts), limit or sum(counts))
        self.captions: list[str] = []
        self.arrays: dict[str, Tensor] = {}
        filled = 0
        for file, count in zip(files, counts, strict=True):
            take = min(count, total - filled)
            if take <= 0:
                break
            with safe_open(str(file), "pt") as pack:
                for name in ARRAYS:
                    part = pack.get_slice(name)[:take]
                    if name not in self.arrays:
                        self.arrays[name] = torch.empty((total, *part.shape[1:]), dtype=part.dtype)
                    expected, got = tuple(self.arrays[name].shape[1:]), tuple(part.shape[1:])
                    if got != expected:
                        raise ValueError(f"expected packs of one size, {file} has {name} {got} instead of {expected}.")
                    self.arrays[name][filled : filled + take] = part
                self.captions += _captions(Path(file), pack.metadata() or {}, count)[:take]
            filled += take


class StockClips(HeldClips):
    """Clips of a stock that grows and changes between the sittings of a run, which counts as the same data."""

    def __init__(self, arrays: dict[str, Tensor], captions: list[str]) -> None:
        self.arrays, self.captions = arrays, captions

    def first(self, count: int) -> StockClips:
        """The first clips alone, not copied."""
        return StockClips({name: value[:count] for name, value in self.arrays.items()}, self.captions[:count])


class RenderedClips(StockClips):
    """Procedural clips rendered once, into the memory of the device that renders and trains: clip i has the seed
    ``first_seed + i``."""

    def __init__(
        self,
        first_seed: int,
        count: int,
        frames: int,
        height: int,
        width: int,
        device: torch.device | str = "cpu",
        *,
        until: Callable[[int], bool] = lambda done: False,
        shots: Iterable[Shot] | None = None,
        compiled: bool = False,
    ) -> None:
        """Render them; ``until``, told how many are done, may say that these are enough.

        Args:
            first_seed: of the first clip; the others follow.
            count: clips at most.
            frames: frames per clip.
            height: image rows in pixels.
            width: image columns in pixels.
            device: where to render and keep them.
            until: whether to stop after so many.
            shots: those of the seeds, planned elsewhere; None: each is planned when it is rendered.
            compiled: compile the renderer.
        """
        self.first_seed = first_seed
        size = (frames, height, width)
        captions: list[str] = []
        rooms = {
            "rgb": torch.empty((count, *size, 3), dtype=torch.uint8, device=device),
            "depth": torch.empty((count, *size), dtype=torch.float16, device=device),
            "extrinsics": torch.empty((count, frames, 4, 4), device=device),
            "intrinsics": torch.empty((count, frames, 3, 3), device=device),
        }
        shots = plan_shots(range(first_seed, first_seed + count), frames) if shots is None else shots
        clips = (render_shot(shot, height, width, device, device, samples=2, compiled=compiled) for shot in shots)
        for number, clip in enumerate(clips):
            rooms["rgb"][number], rooms["depth"][number] = clip.rgb, clip.depth
            rooms["extrinsics"][number], rooms["intrinsics"][number] = clip.cameras.extrinsics, clip.cameras.intrinsics
            captions.append(clip.caption)
            if until(number + 1):
                break
        super().__init__({name: value[: len(captions)] for name, value in rooms.items()}, captions)


class GeneratedClips(ClipSource):
    """Procedural clips made when asked for, on ``device``, where they stay: clip i has the seed ``first_seed + i``."""

    def __init__(
        self, first_seed: int, count: int, frames: int, height: int, width: int, device: torch.device | str = "cpu"
    ) -> None:
        self.first_seed, self.count = first_seed, count
        self.frames, self.height, self.width, self.device = frames, height, width, device

    def __len__(self) -> int:
        return self.count

    def get(self, items: Sequence[int], frames: int | None = None) -> Clips:
        """Generate these clips."""
        from gen3r.data.synthetic import generate_clips

        seeds = [self.first_seed + item for item in items]
        size = (frames or self.frames, self.height, self.width)
        clips = list(generate_clips(seeds, *size, device=self.device, store=self.device, samples=2))
        return Clips(
            torch.stack([clip.rgb for clip in clips]),
            torch.stack([clip.depth for clip in clips]).float(),
            torch.stack([clip.cameras.extrinsics for clip in clips]).float(),
            torch.stack([clip.cameras.intrinsics for clip in clips]).float(),
            tuple(clip.caption for clip in clips),
        )


def _count(file: Path, split: Split | None) -> int:
    if not file.is_file():
        raise ValueError(f"expected a pack of clips at {file}, found no file.")
    with safe_open(str(file), "pt") as pack:
        names = set(pack.keys())
        missing = sorted(set(ARRAYS) - names)
        if missing:
            raise ValueError(f"{file} is not a pack of clips: it lacks {', '.join(missing)}.")
        if split is not None and "seeds" in names:
            other = [seed for seed in pack.get_tensor("seeds").tolist() if split_of(seed) != split]
            if other:
                raise ValueError(
                    f"expected {split} clips in {file}, but seed {other[0]} belongs to {split_of(other[0])} "
                    f"({len(other)} such clips); give a pack of {split} seeds."
                )
        return pack.get_slice("rgb").get_shape()[0]


def _captions(file: Path, metadata: dict[str, str], count: int) -> list[str]:
    beside = file.with_suffix(".json")
    if "captions" in metadata:
        captions = json.loads(metadata["captions"])
    elif beside.is_file():
        content = json.loads(beside.read_text())
        captions = content["captions"] if isinstance(content, dict) else content
    else:
        captions = [""] * count
    if len(captions) != count:
        raise ValueError(f"{file} has {count} clips but {len(captions)} captions.")
    return captions
