"""Clips of stored datasets: frames drawn from scenes, brought to one size, with one caption each."""

from __future__ import annotations

import logging
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from gen3r.data.captions import clean_prefix
from gen3r.data.dataset import ClipDataset
from gen3r.data.mixture import Mixture
from gen3r.data.sampling import ClipSampler
from gen3r.data.schema.record import ClipRecord
from gen3r.data.schema.stored import StoredClip
from gen3r.scene.crop import cover_crop
from gen3r.train.order import EveryPosition, Order
from gen3r.train.rng import generator
from gen3r.train.sources import Clips, ClipSource

LOGGER = logging.getLogger(__name__)
ATTEMPTS = 5
"""Clips tried for one position before a damaged dataset is an error."""


@dataclass(frozen=True, kw_only=True)
class ClipForm:
    """What clips are made of scenes."""

    sampler: ClipSampler
    """Which frames. A fixed one also fixes the caption: the first one."""
    height: int
    """Image rows in pixels."""
    width: int
    """Image columns in pixels."""
    depth: bool
    """Whether depth is read."""

    def clip(self, stored: StoredClip, rng: torch.Generator, frames: int | None = None) -> Clips:
        """One clip of a scene: its frames cover-resized and cropped at the centre, its cameras likewise, a caption.

        Raises:
            ValueError: naming the file of the scene that is missing or damaged.
        """
        sampler = self.sampler if frames is None else replace(self.sampler, frames=frames)
        indices = sampler.indices(stored.record.frames, rng)
        cameras = stored.cameras[indices].cover_crop(self.height, self.width)
        depth = stored.depth(indices) if self.depth else None
        return Clips(
            rgb=self._colours(stored.rgb(indices))[None],
            depth=None if depth is None else self._depth(depth)[None],
            extrinsics=cameras.extrinsics.float()[None],
            intrinsics=cameras.intrinsics.float()[None],
            captions=(self._caption(stored.captions, rng),),
        )

    def _caption(self, captions: Sequence[str], rng: torch.Generator) -> str:
        if not captions:
            return ""
        if self.sampler.fixed:
            return clean_prefix(captions[0], rng, rate=1.0, bare=1.0)
        return clean_prefix(captions[int(torch.randint(0, len(captions), (), generator=rng))], rng)

    def _colours(self, rgb: UInt8[Tensor, "n h w 3"]) -> UInt8[Tensor, "n H W 3"]:
        crop = cover_crop(rgb.shape[1], rgb.shape[2], self.height, self.width)
        size, images = (crop.resized_height, crop.resized_width), rgb.permute(0, 3, 1, 2)
        if tuple(rgb.shape[1:3]) != size:
            images = functional.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        return self._cut(images, crop.top, crop.left).permute(0, 2, 3, 1).contiguous()

    def _depth(self, depth: Float[Tensor, "n h w"]) -> Float[Tensor, "n H W"]:
        crop = cover_crop(depth.shape[1], depth.shape[2], self.height, self.width)
        size = (crop.resized_height, crop.resized_width)
        if tuple(depth.shape[1:]) != size:  # depths of two surfaces have no mean
            depth = functional.interpolate(depth[None], size=size, mode="nearest-exact")[0]
        return self._cut(depth, crop.top, crop.left).contiguous()

    def _cut(self, images: Tensor, top: int, left: int) -> Tensor:
        return images[..., top : top + self.height, left : left + self.width]


@dataclass(frozen=True)
class Scenes:
    """Scenes that are drawn alike: a dataset, or what several folders hold of one."""

    places: tuple[tuple[ClipDataset, int], ...]
    """Where each is: its number in which folder."""
    records: tuple[ClipRecord, ...]
    """What is known of each."""

    @classmethod
    def of(cls, dataset: ClipDataset) -> Scenes:
        """All scenes of a dataset."""
        return cls(tuple((dataset, number) for number in range(len(dataset))), dataset.records)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> StoredClip:
        dataset, place = self.places[number]
        return dataset[place]

    @property
    def have_depth(self) -> bool:
        """Whether every scene has depth."""
        return all(record.depth_scale is not None for record in self.records)


class StoredClips(ClipSource):
    """Item i is the i-th scene of the datasets; frames and caption are a function of it and of ``seed``."""

    def __init__(
        self, datasets: Sequence[Scenes], form: ClipForm, seed: int = 0, weights: Sequence[float] | None = None
    ) -> None:
        """``weights``: how often whoever draws items is to draw those of a dataset; None: all items alike."""
        self.datasets, self.form, self.seed = tuple(datasets), form, seed
        self.weights = tuple(weights or ())
        self._ends = list(accumulate(map(len, self.datasets)))
        self._depth = form.depth and all(dataset.have_depth for dataset in datasets)

    def __len__(self) -> int:
        return self._ends[-1]

    @property
    def has_depth(self) -> bool:
        """Whether depth is read and every scene has it."""
        return self._depth

    def get(self, items: Sequence[int], frames: int | None = None) -> Clips:
        """Clips of these scenes."""
        return joined([self.form.clip(self._scene(i), generator(self.seed, "clip", i), frames) for i in items])

    def name(self, item: int) -> str:
        """The scene's name."""
        return _name(self._scene(item))

    def dataset_of(self, item: int) -> int:
        """Number of the dataset that an item is of."""
        return bisect(self._ends, item)

    def _scene(self, item: int) -> StoredClip:
        number = self.dataset_of(item)
        return self.datasets[number][item - (self._ends[number - 1] if number else 0)]


class MixedClips(ClipSource):
    """Item i is what stands at position i of a mixture of datasets, endlessly; see `gen3r.data.mixture`.

    A damaged scene is logged and another one drawn in its place, so that a long run goes on.
    """

    def __init__(self, datasets: Sequence[Scenes], weights: Sequence[float], form: ClipForm, seed: int = 0) -> None:
        """``weights``: how often a dataset is drawn, relative to the others; ValueError as `Mixture`."""
        self.datasets, self.form, self.seed = tuple(datasets), form, seed
        self.weights = tuple(weights)
        self.mixture = Mixture([len(dataset) for dataset in datasets], weights, seed)
        self._depth = form.depth and all(dataset.have_depth for dataset in datasets)

    def __len__(self) -> int:
        return sum(self.mixture.sizes)

    @property
    def has_depth(self) -> bool:
        """Whether depth is read and every scene has it."""
        return self._depth

    def order(self, seed: int) -> Order:
        """Every position draws for itself."""
        return EveryPosition()

    def get(self, items: Sequence[int], frames: int | None = None) -> Clips:
        """Clips of the scenes that stand at these positions."""
        return joined([self._clip(position, frames) for position in items])

    def name(self, item: int) -> str:
        """The name of the scene at a position."""
        return _name(self._scene(item, 0))

    def _scene(self, position: int, attempt: int) -> StoredClip:
        dataset, clip = self.mixture.draw(position, attempt)
        return self.datasets[dataset][clip]

    def _clip(self, position: int, frames: int | None) -> Clips:
        problems = []
        for attempt in range(ATTEMPTS):
            scene = self._scene(position, attempt)
            try:
                return self.form.clip(scene, generator(self.seed, "clip", position, attempt), frames)
            except ValueError as error:
                LOGGER.warning(
                    "position %d: %s cannot be used (%s); another clip is drawn", position, scene.name, error
                )
                problems.append(str(error))
        raise ValueError(
            f"{ATTEMPTS} clips drawn in a row cannot be used: {problems[0]} Run gen3r data check on the datasets."
        )


def joined(clips: Sequence[Clips]) -> Clips:
    """Several clips of one size as one; without depth unless all have it."""
    depths = [clip.depth for clip in clips if clip.depth is not None]
    return Clips(
        rgb=torch.cat([clip.rgb for clip in clips]),
        depth=torch.cat(depths) if len(depths) == len(clips) else None,
        extrinsics=torch.cat([clip.extrinsics for clip in clips]),
        intrinsics=torch.cat([clip.intrinsics for clip in clips]),
        captions=tuple(caption for clip in clips for caption in clip.captions),
    )


def _name(scene: StoredClip) -> str:
    return f"{scene.record.source}/{scene.name}"
