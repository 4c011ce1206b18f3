"""Training batches of diffusion: encoded clips with fresh samples, views and drops, or clips that are not encoded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.conditioning.cameras import camera_rays_packed
from gen3r.conditioning.condition import ConditioningConfig
from gen3r.conditioning.masks import mask_channels
from gen3r.conditioning.text import TextEncoder
from gen3r.conditioning.views import ViewSampler
from gen3r.latents.codecs.registry import CODECS
from gen3r.latents.grid import SPATIAL_STRIDE
from gen3r.latents.joint import JointLatent, kept
from gen3r.presets.condition_noise import CLEAN
from gen3r.presets.stages import DiffusionStage
from gen3r.train import augment
from gen3r.train.batches import Batches
from gen3r.train.condition_noise import spoiled_views, wrong_cameras
from gen3r.train.latents.cache import scale_of
from gen3r.train.latents.shards import LatentShards
from gen3r.train.latents.store import LatentStore
from gen3r.train.latents.truth import NO_TRUTH
from gen3r.train.latents.views import choose_view
from gen3r.train.losses.following import Sightings
from gen3r.train.objectives.base import Batch
from gen3r.train.objectives.noise import stratum
from gen3r.train.order import Order
from gen3r.train.rng import generator, on_device
from gen3r.train.sources import ClipSource


class CaptionText(Protocol):
    """What a batch says of its captions."""

    def __call__(self, items: Sequence[int], lines: Sequence[int | None]) -> Batch:
        """Of line ``lines[k]`` of item ``items[k]``, or of the empty prompt for None."""
        ...


class CaptionTokens:
    """Token ids for a text encoder that is trained along: ``ids`` and ``ids_mask`` [n, L]."""

    def __init__(self, prompts: Sequence[Sequence[str]], text: TextEncoder) -> None:
        self.first = [0, *accumulate(len(lines) for lines in prompts)]
        tokens = text.tokenizer(
            ["", *(line for lines in prompts for line in lines)],
            padding="max_length",
            max_length=text.length,
            truncation=True,
            return_tensors="pt",
        )
        self.ids, self.mask = tokens["input_ids"], tokens["attention_mask"]

    def __call__(self, items: Sequence[int], lines: Sequence[int | None]) -> Batch:
        """See ``CaptionText``."""
        index = torch.tensor(
            [0 if line is None else self.first[item] + line + 1 for item, line in zip(items, lines, strict=True)]
        )
        return {"ids": self.ids[index], "ids_mask": self.mask[index]}


class CaptionFeatures:
    """Stored features of a frozen text encoder: ``text`` [n, L, Dt], zeros in the rows after the end."""

    def __init__(self, latents: LatentShards, length: int) -> None:
        self.latents, self.length = latents, length

    def __call__(self, items: Sequence[int], lines: Sequence[int | None]) -> Batch:
        """See ``CaptionText``."""
        rows = [self.latents.text(item, line) for item, line in zip(items, lines, strict=True)]
        text = rows[0].new_zeros(len(rows), self.length, rows[0].shape[1])
        for target, features in zip(text, rows, strict=True):
            target[: len(features)] = features[: self.length]
        return {"text": text}


class LatentBatches(Batches):
    """Encoded clips with freshly drawn posterior samples, views, captions, and drops of text and cameras.

    Everything is decided per sample. Batches hold ``clean`` [n,16,f,h,2w], ``control`` [n,20,f,h,2w], the rays as
    ``camera`` or (where there is one for every pixel, which is large) ``extrinsics``, ``intrinsics`` and
    ``camera_known`` to make them from on the device, the text (see ``CaptionTokens``, ``CaptionFeatures``), ``image``
    for models that read it, ``position`` and ``seen`` (see ``Sightings``) where attention follows the camera, and
    ``stratum`` [n,2] where noise levels are stratified.

    Args:
        store: encoded clips.
        text: a text encoder that is trained along; None takes the stored features of a frozen one.
        stage: how conditions and noise are drawn.
        batch_size: samples per batch.
        seed: of all draws.
        validation: nothing is dropped, and the first caption is taken.
        order: which items stand where; by default shuffled epochs of all.
        steps: optimizer steps of the run, for a curriculum of views; 0: as the stage does in the end, always.

    Raises:
        ValueError: for latents of another codec, made with other conditioning, or without the views or features that
            are to be read.
    """

    def __init__(
        self,
        store: LatentStore,
        text: TextEncoder | None,
        stage: DiffusionStage,
        *,
        batch_size: int,
        seed: int,
        validation: bool = False,
        order: Order | None = None,
        steps: int = 0,
    ) -> None:
        super().__init__(len(store) if order is None else order, batch_size, seed)
        self.store, self.stage, self.validation, self.steps = store, stage, validation, steps
        self.halves = CODECS[stage.codec].halves
        if store.codec != stage.codec:
            raise ValueError(
                f"expected latents of the codec {stage.codec}, got those of {store.codec}; encode the clips again, or "
                f"train with codec {store.codec}."
            )
        self.follows = stage.following > 0 and not validation and store.sightings([0]) is not None
        weight = max(views_at(stage, progress).anything for progress in (0.0, 1.0))
        if weight > 0 and not store.subsets:
            raise ValueError(
                f"views are random subsets with weight {weight:g}, the latents were encoded without any; "
                "encode with --subsets 1 or more."
            )
        if isinstance(store, LatentShards):
            store.settings.check_conditioning(stage.conditioning, "the training set")
            self._check_image(store)
        self.prompts = store.prompts
        self.text: CaptionText = self._features() if text is None else CaptionTokens(self.prompts, text)

    def sample(self, step: int, position: int) -> Batch:
        """See ``Batches.sample``; views are those of the step."""
        return self.several(step, range(position, position + 1))

    def several(self, step: int, positions: range) -> Batch:
        """See ``Batches.several``; views are those of the step."""
        rng, items = generator(self.seed, "augment", positions[0]), self.order.items(positions[0], len(positions))
        return self.make(items, rng, views_at(self.stage, step / self.steps) if self.steps else None)

    def make(self, items: Sequence[int], rng: torch.Generator, views: ViewSampler | None = None) -> Batch:
        """A batch of these items, shown as ``views`` says (None: as the stage does in the end)."""
        appearance, geometry = self.store.posteriors(items)
        device = appearance.mean.device
        drawn = appearance.sample(on_device(rng, device))
        clean = JointLatent(drawn, None if geometry is None else geometry.sample(on_device(rng, device)))
        views = self.stage.views if views is None else views
        weights = (views.first, views.ends, views.everything, views.nothing, views.anything)
        choice = choose_view(weights, self.store.subsets, rng, len(items))
        drops = self.stage.drops.draw(len(items), rng)
        lines = self._lines(items, drops.text & (not self.validation), rng)
        stored = self.store.conditions(items, choice, rng)
        size = (stored.control.shape[-2], stored.control.shape[-1] // 2)
        batch: dict[str, Any] = {
            "clean": clean.tensor,
            "control": kept(torch.cat([stored.control, mask_channels(stored.given, size)], dim=1), self.halves),
            **self.text(items, lines),
        }
        if stored.image is not None and self.stage.network.image_dim is not None:
            batch["image"] = stored.image
        if self.follows:
            found = cast(Sightings, self.store.sightings(items))
            batch |= {"position": found.position, "seen": found.seen}
        known = ~drops.camera | self.validation
        noise = CLEAN if self.validation else self.stage.condition_noise
        cameras = wrong_cameras(stored.cameras, noise, rng).to(stored.control.device)
        if self.stage.conditioning.rays_at_latent_size:
            rays = kept(packed_rays(cameras, self.stage.conditioning), self.halves)
            return batch | {"camera": rays * known.to(rays)[:, None, None, None, None]}
        return batch | {"extrinsics": cameras.extrinsics, "intrinsics": cameras.intrinsics, "camera_known": known}

    def at(self, step: int, first: int = 0, size: int | None = None, total: int | None = None) -> Batch:
        """See ``Batches.at``; with ``stratum``, the noise levels each sample draws from, where that is asked for."""
        batch = super().at(step, first, size, total)
        if not self.stage.noise.stratified or self.validation:
            return batch
        return batch | strata(first, size or self.batch_size, total)

    def _lines(self, items: Sequence[int], dropped: Tensor, rng: torch.Generator) -> list[int | None]:
        """Which caption of each item is read; one is drawn only where there are several."""
        counts = [len(self.prompts[item]) for item in items]
        drawn = [0] * len(items)
        if max(counts) > 1 and not self.validation:
            uniform = torch.rand(len(items), generator=rng).tolist()
            drawn = [int(u * count) for u, count in zip(uniform, counts, strict=True)]
        gone = dropped.tolist()
        return [None if drop or not count else line for drop, count, line in zip(gone, counts, drawn, strict=True)]

    def _features(self) -> CaptionFeatures:
        if not isinstance(self.store, LatentShards) or not self.store.has_text:
            raise ValueError("expected stored text features, got none; encode with a text encoder, or train one along.")
        return CaptionFeatures(self.store, self.stage.network.text_length)

    def _check_image(self, store: LatentShards) -> None:
        if self.stage.network.image_dim is not None and store.settings.image_pixels is None:
            raise ValueError(
                "the transformer reads image features, the latents were encoded without an image encoder; encode the "
                "dataset again with a model that has one."
            )


def views_at(stage: DiffusionStage, progress: float) -> ViewSampler:
    """Which frames are given when this share (0..1) of the steps is done."""
    curriculum = stage.view_curriculum
    return stage.views if curriculum is None else curriculum.at(progress, stage.views)


def strata(first: int, count: int, total: int | None) -> Batch:
    """The part of the noise levels of each of ``count`` samples of a step, see ``noise.stratum``."""
    return {"stratum": torch.tensor([stratum(first + k, total or count) for k in range(count)])}


def packed_rays(cameras: Cameras, config: ConditioningConfig) -> Float[Tensor, "b 24 f rows columns"]:
    """Packed rays of relative cameras ``[b, F]``, at the size that the transformer reads."""
    cells = (cameras.height // SPATIAL_STRIDE, cameras.width // SPATIAL_STRIDE)
    return camera_rays_packed(cameras, cells if config.rays_at_latent_size else (cameras.height, cameras.width))


class ClipVideos(Batches):
    """Clips as they are, for an objective that encodes them itself in every step; see ``FrozenEncoders.encode``.

    Args:
        source: clips with depth, unless translations are not scaled.
        stage: how views and drops are drawn.
        frames: frames of a clip that are taken, from the first on.
        batch_size: samples per batch.
        seed: of all draws.
        steps: optimizer steps of the run, for a curriculum of views; 0: as the stage does in the end, always.
    """

    def __init__(
        self, source: ClipSource, stage: DiffusionStage, *, frames: int, batch_size: int, seed: int, steps: int = 0
    ) -> None:
        super().__init__(source.order(seed), batch_size, seed)
        self.source, self.stage, self.frames, self.steps = source, stage, frames, steps

    def sample(self, step: int, position: int) -> Batch:
        """See ``Batches.sample``; views are those of the step."""
        return self.several(step, range(position, position + 1))

    def several(self, step: int, positions: range) -> Batch:
        """See ``Batches.several``; views are those of the step."""
        rng, items = generator(self.seed, "augment", positions[0]), self.order.items(positions[0], len(positions))
        return self.make(items, rng, views_at(self.stage, step / self.steps) if self.steps else None)

    def make(self, items: Sequence[int], rng: torch.Generator, views: ViewSampler | None = None) -> Batch:
        """A batch of these clips, shown as ``views`` says (None: as the stage does in the end)."""
        clips = self.source.get(items, self.frames)
        drops = self.stage.drops.draw(len(items), rng)
        scale = scale_of(clips, self.stage.conditioning)
        dropped = drops.text.tolist()
        video, noise = augment.video(clips), self.stage.condition_noise
        cameras = wrong_cameras(Cameras(clips.extrinsics, clips.intrinsics, *clips.rgb.shape[2:4]), noise, rng)
        true = {}
        if CODECS[self.stage.codec].needs_truth:
            if clips.depth is None:
                raise ValueError(NO_TRUTH)
            extrinsics, intrinsics = clips.extrinsics, clips.intrinsics
            true = {"true_depth": clips.depth, "true_extrinsics": extrinsics, "true_intrinsics": intrinsics}
        spoiled = {"views": spoiled_views(video, noise, rng)} if noise.views else {}
        return (
            spoiled
            | true
            | {
                "video": video,
                "given": (views or self.stage.views).sample(len(items), self.frames, rng),
                "prompts": ["" if drop else caption for drop, caption in zip(dropped, clips.captions, strict=True)],
                "extrinsics": cameras.extrinsics,
                "intrinsics": cameras.intrinsics,
                "camera_known": ~drops.camera,
                "scale": torch.ones(len(items)) if scale is None else scale,
            }
        )

    def at(self, step: int, first: int = 0, size: int | None = None, total: int | None = None) -> Batch:
        """As that of `LatentBatches`."""
        batch = super().at(step, first, size, total)
        return batch | strata(first, size or self.batch_size, total) if self.stage.noise.stratified else batch
