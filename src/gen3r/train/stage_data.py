"""What a stage trains and validates on, from the paths that a user names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gen3r.data.clip import FIRST_VALIDATION_SEED, Split
from gen3r.data.sampling import ClipSampler
from gen3r.latents.codecs.registry import CODECS
from gen3r.presets.stages import Preset
from gen3r.train.encoded import EncodedClips, are_encoded, open_encoded
from gen3r.train.opening import NoSuchSplitError, are_packs, open_scenes
from gen3r.train.sources import ClipSource, GeneratedClips, PackedClips
from gen3r.train.stored import ClipForm, MixedClips, StoredClips

Data = ClipSource | EncodedClips
FLOW_STAGES = ("diffusion", "distill", "decoders")
"""Stages on latents and conditions."""
FIRST_SEEDS: Mapping[Split, int] = {"train": 0, "validation": FIRST_VALIDATION_SEED}
"""Where generated clips start."""
VALIDATION_CLIPS = 64
"""Clips that are validated on, at most."""


@dataclass(frozen=True, kw_only=True)
class StageData:
    """How a stage reads its clips."""

    preset: Preset
    """Sizes and strides."""
    stage: str
    """Its name."""
    seed: int
    """Of all draws."""
    limit: int | None
    """Train on so many clips at most."""
    encoders: Callable[[], Mapping[str, str]]
    """sha256 of the networks that encoded clips must have been made by; reads all their weights."""

    def training(self, paths: Sequence[Path]) -> Data:
        """Clips of the split "train".

        Raises:
            ValueError: for unusable paths, and for data without such clips.
        """
        return self._open(paths, "train", self.limit)

    def validation(self, paths: Sequence[Path], training: Sequence[Path]) -> Data | None:
        """Clips of the split "validation", of ``paths`` or else of the ``training`` data, None if that has none.

        Raises:
            ValueError: for unusable paths, and for ``paths`` without such clips.
        """
        if paths or not training:
            return self._open(paths, "validation", VALIDATION_CLIPS)
        if are_packs(training):  # a pack is of one split
            return self._open((), "validation", VALIDATION_CLIPS)
        try:
            return self._open(training, "validation", VALIDATION_CLIPS)
        except NoSuchSplitError:
            return None

    def _open(self, paths: Sequence[Path], split: Split, limit: int | None) -> Data:
        preset = self.preset
        if not paths:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            size = (preset.frames, preset.height, preset.width)
            return GeneratedClips(FIRST_SEEDS[split], limit or preset.clips, *size, device)
        if are_packs(paths):
            return PackedClips(paths, limit, split)
        if are_encoded(paths):
            encoded = open_encoded(paths, split, self.encoders())
            return encoded if limit is None else encoded.first(limit)
        scenes, weights = open_scenes(paths, split, limit)
        encodes = self.stage in FLOW_STAGES and preset.diffusion.text is not None
        if split == "validation" or encodes:  # each scene once
            return StoredClips(scenes, self._form(split), self.seed, weights)
        return MixedClips(scenes, weights, self._form(split), self.seed)

    def _form(self, split: Split) -> ClipForm:
        preset = self.preset
        sampler = ClipSampler(
            frames=preset.frames,
            strides=preset.strides,
            official=preset.official_strides and self.stage in FLOW_STAGES,
            fixed=split == "validation",
        )
        return ClipForm(
            sampler=sampler, height=preset.height, width=preset.width, depth=self._reads_depth(split == "validation")
        )

    def _reads_depth(self, validation: bool) -> bool:
        diffusion = self.preset.diffusion
        truth = CODECS[diffusion.codec].needs_truth
        needed = {
            "vggt": True,
            "vae": False,
            "adapter": validation,
            **dict.fromkeys(FLOW_STAGES, diffusion.conditioning.normalize_scale or truth),
            "decoders": True,
        }
        return needed[self.stage]
