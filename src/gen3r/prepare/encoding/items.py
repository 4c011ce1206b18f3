"""One clip to the tensors that a shard holds of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.conditioning.cameras import relative_cameras, scene_scale
from gen3r.conditioning.scale import estimated_scale
from gen3r.data.captions import clean_prefix, swap_sides
from gen3r.data.sampling import ClipSampler
from gen3r.data.schema.stored import StoredClip
from gen3r.latents.codecs import ClipGeometry
from gen3r.latents.joint import split
from gen3r.prepare.encoding.config import EncodeConfig
from gen3r.prepare.encoding.plan import ItemKey
from gen3r.train import augment
from gen3r.train.latents.encoders import FrozenEncoders
from gen3r.train.latents.layout import LatentItem, LatentSettings
from gen3r.train.latents.shards import HALVES
from gen3r.train.latents.truth import truth_of
from gen3r.train.latents.views import ENDS, FIRST, FIXED_CHOICES, view_choices
from gen3r.train.rng import generator
from gen3r.train.sources import Clips
from gen3r.train.stored import ClipForm


@dataclass(frozen=True)
class EncodedItem:
    """What a shard holds of one clip."""

    item: LatentItem
    """For the header."""
    tensors: dict[str, Tensor]
    """By name, without the axis over clips."""
    text: list[Tensor]
    """Features of its captions at their true length, bfloat16."""


class ItemEncoder:
    """Encodes clips one by one; everything drawn depends on the seed and the item alone."""

    def __init__(
        self, config: EncodeConfig, settings: LatentSettings, encoders: FrozenEncoders, device: torch.device
    ) -> None:
        self.config, self.settings, self.encoders, self.device = config, settings, encoders, device
        self.form = ClipForm(
            sampler=ClipSampler(frames=settings.frames, strides=config.strides),
            height=settings.height,
            width=settings.width,
            depth=settings.normalize_scale or encoders.geometry.needs_truth,
        )

    def encode(self, stored: StoredClip, key: ItemKey) -> EncodedItem:
        """Read and encode a clip.

        Raises:
            ValueError: naming the file of the clip that is missing or damaged.
        """
        stream = (self.config.seed, key.dataset, key.clip, key.window)
        indices = self.form.sampler.indices(stored.record.frames, generator(*stream))
        clips = self.form.clip(stored, generator(*stream))
        if key.mirrored:
            clips = augment.mirror(clips)
        captions = self._captions(stored.captions, key)
        item = LatentItem(
            clip=stored.name,
            source=stored.record.source,
            split=stored.record.split,
            frames=tuple(indices),
            mirrored=key.mirrored,
            captions=captions,
        )
        text = [] if self.encoders.text is None else [row.bfloat16() for row in self.encoders.text_rows(captions)]
        return EncodedItem(item, self._tensors(clips, key), text)

    def _captions(self, captions: tuple[str, ...], key: ItemKey) -> tuple[str, ...]:
        rng = generator(self.config.seed, key.dataset, key.clip, key.window, "captions")
        worded = [clean_prefix(caption, rng) if self.config.clean_prefixes else caption for caption in captions]
        return tuple(swap_sides(caption) if key.mirrored else caption for caption in worded)

    def _tensors(self, clips: Clips, key: ItemKey) -> dict[str, Tensor]:
        video = augment.video(clips).to(self.device)
        rng = generator(self.config.seed, str(key), "views")
        given = view_choices(1, video.shape[1], self.settings.subsets, rng).to(self.device)
        noise = generator(self.config.seed, str(key), "control")
        tensors = self._posteriors(video, truth_of(clips, self.encoders.geometry, self.device))
        chosen = [given[:, choice] for choice in (FIRST, ENDS, *range(FIXED_CHOICES, given.shape[1]))]
        controls = [split(self.encoders.control(video, views, noise)) for views in chosen]
        for number, half in enumerate(HALVES[: 1 + (self.settings.control_geometry == "encoded")]):
            tensors[f"control_{half}"] = torch.cat([control[number] for control in controls]).half()
        if self.settings.image_pixels is not None:
            shown = [given[:, FIRST], *given[:, FIXED_CHOICES:].unbind(1)]
            features = [self.encoders.image_features(video, views) for views in shown]
            tensors["image"] = torch.cat([part for part in features if part is not None]).half()
        cameras, scale = self._cameras(clips, video)
        tensors |= {
            "given": given[0],
            "extrinsics": cameras.extrinsics[0].float(),
            "intrinsics": cameras.intrinsics[0].float(),
            "scale": scale[0].float(),
        }
        return {name: value.cpu().contiguous() for name, value in tensors.items()}

    def _posteriors(self, video: Tensor, truth: ClipGeometry | None) -> dict[str, Tensor]:
        tensors = {}
        for half, posterior in zip(HALVES, self.encoders.posteriors(video, truth), strict=True):
            if posterior is None:
                continue
            tensors |= {f"{half}_mean": posterior.mean[0].half(), f"{half}_logvar": posterior.logvar[0].half()}
        return tensors

    def _cameras(self, clips: Clips, video: Tensor) -> tuple[Cameras, Tensor]:
        """Relative cameras, and what they were divided by (1 where they were not)."""
        cameras = Cameras(clips.extrinsics, clips.intrinsics, self.settings.height, self.settings.width)
        if not self.settings.normalize_scale:
            return relative_cameras(cameras), torch.ones(1)
        if clips.depth is not None and bool((clips.depth[:, 0] > 0).any()):
            scale = scene_scale(clips.depth[:, 0])
        else:
            scale = estimated_scale(video, cameras, self.encoders.geometry.vggt).cpu()
        return relative_cameras(cameras, scale), scale
