"""Where the clips of a table come from: seeds, or stored datasets in the standard scene format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from gen3r.cameras import Cameras
from gen3r.conditioning.cameras import relative_cameras, scene_scale
from gen3r.conditioning.scale import estimated_scale
from gen3r.data.dataset import ClipDataset
from gen3r.data.sampling import ClipSampler
from gen3r.data.schema.record import ClipRecord
from gen3r.data.synthetic import generate_clip
from gen3r.eval.benchmarks.truth import Truth, without_far
from gen3r.eval.suite.benchmark import Needs
from gen3r.eval.suite.config import ClipChoice
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline import Gen3RPipeline
from gen3r.train.rng import derive_seed
from gen3r.train.stored import ClipForm

SEED_BITS = 62
"""Seeds that follow from names leave room for what is added to them."""


@dataclass(frozen=True, kw_only=True)
class ListedClip:
    """A clip that has not been read."""

    name: str
    """In results files; unique."""
    has: Needs
    """What it brings along."""
    frames: int
    """Frames of its scene."""
    unusable: str = ""
    """Why it is left out of every table; empty if it is not."""

    def lacks(self, needs: Needs) -> str:
        """What it is left out for by a table with these needs; empty if it has everything."""
        missing = [name for name in ("depth", "cameras", "metric") if getattr(needs, name) > getattr(self.has, name)]
        return self.unusable or (f"no {' and no '.join(WORDS[name] for name in missing)}" if missing else "")


WORDS = {"depth": "depth", "cameras": "cameras", "metric": "metric scale"}
"""What clips may lack, in words."""


@runtime_checkable
class ClipSource(Protocol):
    """Clips by name, brought to the size of a model."""

    def listed(self) -> Sequence[ListedClip]:
        """All clips in a fixed order, none of them read."""
        ...

    def truth(self, name: str, pipeline: Gen3RPipeline) -> Truth:
        """The clip of this name, on the pipeline's device; ValueError if it cannot be read or shows no surface."""
        ...


def open_source(choice: ClipChoice, grid: LatentGrid) -> ClipSource:
    """The source of these clips at the frames and size of ``grid``.

    Raises:
        ValueError: for datasets that cannot be opened, or two clips of one name.
    """
    return StoredSource(choice, grid) if choice.datasets else SyntheticSource(choice, grid)


class SyntheticSource:
    """Clips generated from seeds: exact depth and cameras in metres."""

    def __init__(self, choice: ClipChoice, grid: LatentGrid) -> None:
        assert choice.count is not None
        self.grid, self.seeds = grid, range(choice.seed_start, choice.seed_start + choice.count)

    def listed(self) -> Sequence[ListedClip]:
        """One clip per seed, called by it."""
        has = Needs(depth=True, cameras=True, metric=True)
        return [ListedClip(name=str(seed), has=has, frames=self.grid.frames) for seed in self.seeds]

    def truth(self, name: str, pipeline: Gen3RPipeline) -> Truth:
        """Rendered where the pipeline runs."""
        grid, device = self.grid, pipeline.device
        return Truth.of(generate_clip(int(name), grid.frames, grid.height, grid.width, device=device), device)


class StoredSource:
    """Clips of dataset folders or shards: the first frames of every scene, ``stride`` apart, cover-cropped.

    Clips are called ``source/name``. The noise of a synthetic clip follows from its seed, as if it were generated
    here; that of any other clip from its name.
    """

    def __init__(self, choice: ClipChoice, grid: LatentGrid) -> None:
        self.choice, self.grid = choice, grid
        dataset = ClipDataset.open(choice.datasets, split=choice.split)
        names = [f"{record.source}/{record.name}" for record in dataset.records]
        doubled = [name for name, count in Counter(names).items() if count > 1]
        if doubled:
            raise ValueError(f"expected clips of distinct names, got {', '.join(doubled[:3])} more than once.")
        seeds = Counter(noise_seed(name, record) for name, record in zip(names, dataset.records, strict=True))
        if len(seeds) < len(names):
            raise ValueError(f"expected synthetic clips of distinct seeds, got {seeds.most_common(1)[0][0]} twice.")
        self.dataset = dataset
        self.places = {names[index]: index for index in spread(len(names), choice.count)}
        self.form = ClipForm(
            sampler=ClipSampler(frames=grid.frames, strides=(choice.stride, choice.stride), fixed=True),
            height=grid.height,
            width=grid.width,
            depth=True,
        )

    def listed(self) -> Sequence[ListedClip]:
        """As the records say; scenes too short for a clip of this length and stride are unusable."""
        records, least = self.dataset.records, self.grid.frames * self.choice.stride
        clips = []
        for name, index in self.places.items():
            record = records[index]
            has = Needs(depth=record.depth_scale is not None, cameras=True, metric=record.scale_kind == "metric")
            short = "" if record.frames >= least else f"fewer than {least} frames"
            clips.append(ListedClip(name=name, has=has, frames=record.frames, unusable=short))
        return clips

    def truth(self, name: str, pipeline: Gen3RPipeline) -> Truth:
        """Read, cut and normalised; without depth, VGGT's reading of all true frames says the unit of length."""
        stored, device = self.dataset[self.places[name]], pipeline.device
        clip = self.form.clip(stored, torch.Generator().manual_seed(0))
        video = clip.rgb[0].to(device).permute(0, 3, 1, 2).float() / 255
        cameras = Cameras(clip.extrinsics, clip.intrinsics, self.grid.height, self.grid.width).to(device)
        depth = torch.zeros_like(video[:, 0]) if clip.depth is None else clip.depth[0].to(device)
        if clip.depth is not None and not (depth > 0).any():
            raise ValueError(f"the depth of {name} shows no surface at all; check the clip.")
        seen = bool((depth[0] > 0).any())
        unit = scene_scale(depth[:1]) if seen else estimated_scale(video[None], cameras, pipeline.read_geometry)
        return Truth(
            video=video,
            depth=depth / unit,
            valid=without_far(depth) > 0 if seen else depth > 0,
            cameras=relative_cameras(cameras, unit)[0],
            caption=clip.captions[0],
            seed=noise_seed(name, stored.record),
            name=name,
            unit=unit.item(),
            metric=stored.record.scale_kind == "metric",
        )


def spread(total: int, count: int | None) -> list[int]:
    """``count`` of ``total`` numbers from 0 on, evenly spread; all of them if there are no more."""
    if count is None or count >= total:
        return list(range(total))
    return [number * total // count for number in range(count)]


def noise_seed(name: str, record: ClipRecord) -> int:
    """What a stored clip was made from, or a number that follows from its name."""
    return record.seed if record.seed is not None else derive_seed("eval", name) % 2**SEED_BITS
