"""The clips of a recipe's legs: those that are given, or procedural ones rendered once into memory."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional

from gen3r.data.synthetic.shots import Shot, plan_shots
from gen3r.presets.stages import Preset
from gen3r.train.opening import are_packs
from gen3r.train.sources import ClipSource, HeldClips, PackedClips, RenderedClips, StockClips
from gen3r.train.stage_data import FIRST_SEEDS, VALIDATION_CLIPS, StageData
from gen3r.whole_file import whole_file

FEWEST = 16
"""Clips that are rendered at least, whatever time that takes."""
FEWEST_HELD = 4
"""Of them for validation."""
SHARE = 0.16
"""Share of a sitting that rendering may take."""
AT_ONCE = 0.6
"""Of what is left of that, what the clips of one size may take; those for validation an eighth of it."""
COMPILE_FROM = 600.0
"""Seconds of rendering on a CPU from which compiling the renderer, which takes minutes, pays."""
MOST_WORKERS = 24
FOLDER = "clips"
"""In the run: clips rendered on a CPU, kept for the next sitting."""
Pair = tuple[ClipSource, ClipSource | None]


@dataclass(kw_only=True)
class ClipStock:
    """Gives each leg its clips, on the device that trains; those of one size stay in memory until another is asked."""

    run: Path
    """Folder of the run."""
    data: Sequence[Path]
    """Packs or datasets; none: clips are rendered."""
    validation: Sequence[Path]
    """The same for validation."""
    limit: int
    """Clips to train on at most."""
    sitting: int
    """Which sitting this is: where clips are rendered anew, each has its own."""
    seconds: float
    """What may be spent on rendering in this sitting; grows less with what was."""
    device: torch.device
    """Where clips are kept."""
    tell: Callable[[str], None]
    """Told in one line what is rendered."""

    def __post_init__(self) -> None:
        self._held: tuple[tuple[int, int, int], Pair] | None = None
        self._planned: dict[tuple[int, int], list[Shot]] = {}

    def of(self, preset: Preset, stage: str, seed: int) -> Pair:
        """Training and validation clips of a preset's size.

        Raises:
            ValueError: for unusable data.
        """
        size = (preset.frames, preset.height, preset.width)
        if self._held is not None and self._held[0] == size:
            return self._held[1]
        self._held = None  # two sizes might not fit
        pair = self._given(preset, stage, seed) if self.data else self._rendered(size)
        if all(isinstance(clips, HeldClips) for clips in pair):  # datasets are read for one stage
            self._held = (size, pair)
        return pair

    def _given(self, preset: Preset, stage: str, seed: int) -> Pair:
        if are_packs(self.data):
            training = self._fitted(PackedClips(self.data, self.limit, "train"), preset)
            if not self.validation:
                return training, self._held_out(_size(preset))
            return training, self._fitted(PackedClips(self.validation, VALIDATION_CLIPS, "validation"), preset)
        reading = StageData(preset=preset, stage=stage, seed=seed, limit=self.limit, encoders=dict)
        training, held = reading.training(self.data), reading.validation(self.validation, self.data)
        if not isinstance(training, ClipSource) or not (held is None or isinstance(held, ClipSource)):
            raise ValueError("expected packs or datasets of pictures for a recipe, got encoded clips.")
        return training, held

    def _fitted(self, packs: PackedClips, preset: Preset) -> StockClips:
        clips = fit(packs, preset.height, preset.width).to(self.device)
        return StockClips(clips.arrays, clips.captions)

    def _rendered(self, size: tuple[int, int, int]) -> Pair:
        if self.device.type != "cpu":
            first = self._render("train", size, first_number=self.sitting * self.limit)
            return first, self._held_out(size)
        return self._kept("train", size), self._held_out(size)

    def _held_out(self, size: tuple[int, int, int]) -> StockClips:
        if self.device.type == "cpu":
            return self._kept("validation", size)
        return self._render("validation", size, first_number=0)

    def _kept(self, split: str, size: tuple[int, int, int]) -> StockClips:
        """On a CPU a clip takes a second: what earlier sittings rendered is read, and a pack of more is added."""
        folder, limit = self.run / FOLDER, self.limit if split == "train" else VALIDATION_CLIPS
        name = f"{split}-{'x'.join(map(str, size))}"
        packs = sorted(folder.glob(f"{name}-*.safetensors"))
        have = len(PackedClips(packs)) if packs else 0
        if have < limit:
            clips = self._render(split, size, first_number=have, count=limit - have)
            folder.mkdir(parents=True, exist_ok=True)
            write_pack(clips, folder / f"{name}-{have:06d}.safetensors")
            packs = sorted(folder.glob(f"{name}-*.safetensors"))
        clips = PackedClips(packs, limit)
        return StockClips(clips.arrays, clips.captions)

    def _render(
        self, split: str, size: tuple[int, int, int], *, first_number: int, count: int | None = None
    ) -> RenderedClips:
        training, on_cpu = split == "train", self.device.type == "cpu"
        count = count or (self.limit if training else VALIDATION_CLIPS)
        fewest, seconds = (FEWEST, AT_ONCE * self.seconds) if training else (FEWEST_HELD, AT_ONCE * self.seconds / 8)
        first = (FIRST_SEEDS["train"] if training else FIRST_SEEDS["validation"]) + first_number
        began = time.monotonic()
        clips = RenderedClips(
            first,
            count,
            *size,
            self.device,
            until=lambda done: done >= fewest and time.monotonic() - began > seconds,
            shots=self._shots(first, count, size[0], workers=0 if on_cpu else _workers()),
            compiled=not on_cpu or seconds > COMPILE_FROM,
        )
        self.seconds -= time.monotonic() - began
        self.tell(
            f"rendered {len(clips)} {split} clips of {size[0]} frames of {size[1]}x{size[2]} "
            f"in {time.monotonic() - began:.0f} s"
        )
        return clips

    def _shots(self, first: int, count: int, frames: int, workers: int) -> Iterator[Shot]:
        """Shots in the order of their seeds, each planned once, for whatever size it is rendered."""
        known = self._planned.setdefault((first, frames), [])
        for number in range(min(count, len(known))):
            yield known[number]
        for shot in plan_shots(range(first + len(known), first + count), frames, workers):
            known.append(shot)
            yield shot


def _workers() -> int:
    return min(MOST_WORKERS, max(1, (os.cpu_count() or 2) - 1))


def fit(clips: HeldClips, height: int, width: int) -> HeldClips:
    """Clips made smaller by a whole factor: mean colours, depth of a pixel near the middle.

    Raises:
        ValueError: if they are not a whole number of times as large.
    """
    rgb, depth = clips.arrays["rgb"], clips.arrays["depth"]
    factor = rgb.shape[2] // height
    if (height * factor, width * factor) != tuple(rgb.shape[2:4]) or factor < 1:
        raise ValueError(
            f"expected packs of {height}x{width} pixels or a whole number of times that, got "
            f"{rgb.shape[2]}x{rgb.shape[3]}; pack clips of that size, or train on datasets, which are resized."
        )
    if factor > 1:
        scale = torch.tensor([1 / factor, 1 / factor, 1.0])[:, None]
        small = torch.stack(
            [functional.avg_pool2d(clip.permute(0, 3, 1, 2).float(), factor).round().byte() for clip in rgb]
        )
        clips.arrays = clips.arrays | {
            "rgb": small.permute(0, 1, 3, 4, 2).contiguous(),
            "depth": depth[..., factor // 2 :: factor, factor // 2 :: factor].contiguous(),
            "intrinsics": clips.arrays["intrinsics"] * scale,
        }
    return clips


def write_pack(clips: RenderedClips, path: Path) -> None:
    """Keep rendered clips as a pack, whole or not at all."""
    arrays = {name: value.cpu().contiguous() for name, value in clips.arrays.items()}
    arrays["seeds"] = torch.arange(clips.first_seed, clips.first_seed + len(clips))
    with whole_file(path) as temporary:
        save_file(arrays, temporary, {"captions": json.dumps(clips.captions)})


def leg_preset(preset: Preset, stage: str, side: int | None, settings: dict[str, object]) -> Preset:
    """A preset of another frame size, with some fields of one stage changed."""
    if side is not None:
        preset = dataclasses.replace(preset, height=side, width=side)
    return dataclasses.replace(preset, **{stage: dataclasses.replace(getattr(preset, stage), **settings)})


def _size(preset: Preset) -> tuple[int, int, int]:
    return preset.frames, preset.height, preset.width
