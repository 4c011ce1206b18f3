"""Spoiled views of clips that are encoded in advance: their control latents, in a file beside the clean ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gen3r.conditioning.condition import Conditioner
from gen3r.latents.grid import LATENT_CHANNELS
from gen3r.latents.joint import left_only, split
from gen3r.models.posterior import Posterior
from gen3r.presets.condition_noise import ConditionNoise
from gen3r.train import augment
from gen3r.train.condition_noise import spoil
from gen3r.train.latents.cache import LatentCache
from gen3r.train.latents.store import LatentStore, StoredConditions
from gen3r.train.latents.views import FIXED_CHOICES, NOTHING
from gen3r.train.losses.following import Sightings
from gen3r.train.rng import generator, integer, uniform
from gen3r.train.sources import ClipSource
from gen3r.whole_file import whole_file


class SpoiledLatents(LatentStore):
    """Encoded clips that are sometimes shown with spoiled views; what they are trained to make is the same.

    Args:
        clean: the clips.
        path: written by ``encode_spoiled`` for them.
        probability: that a sample's views are spoiled, drawn for each of them.
    """

    def __init__(self, clean: LatentCache, path: Path, probability: float) -> None:
        self.clean, self.probability = clean, probability
        self.height, self.width, self.codec = clean.height, clean.width, clean.codec
        with safe_open(str(path), "pt") as file:
            self.control = file.get_tensor("control")

    def __len__(self) -> int:
        return len(self.clean)

    @property
    def subsets(self) -> int:
        """See `LatentStore`."""
        return self.clean.subsets

    @property
    def prompts(self) -> Sequence[Sequence[str]]:
        """See `LatentStore`."""
        return self.clean.prompts

    def sightings(self, items: Sequence[int]) -> Sightings | None:
        """See `LatentStore`."""
        return self.clean.sightings(items)

    def posteriors(self, items: Sequence[int]) -> tuple[Posterior, Posterior | None]:
        """See `LatentStore`."""
        return self.clean.posteriors(items)

    def conditions(
        self, items: Sequence[int], choices: Int[Tensor, " n"], rng: torch.Generator | None = None
    ) -> StoredConditions:
        """See `LatentStore`; without ``rng`` nothing is spoiled."""
        stored = self.clean.conditions(items, choices, rng)
        if rng is None:
            return stored
        rng = generator("condition noise", "stored views", rng.initial_seed())
        control = stored.control.clone()
        for place, (item, choice) in enumerate(zip(items, choices.tolist(), strict=True)):
            spoiled, variant = uniform(rng) < self.probability, integer(rng, 0, self.control.shape[1])
            if spoiled and choice != NOTHING:
                control[place] = left_only(self.control[item, variant, stored_at(choice)].float()[None])[0]
        return dataclasses.replace(stored, control=control)


def stored_at(choice: int) -> int:
    """Where a choice of views stands in the file: no frame at all cannot be spoiled, and is left out."""
    return choice - (choice > NOTHING)


@torch.no_grad()
def encode_spoiled(
    source: ClipSource,
    clean: LatentCache,
    conditioner: Conditioner,
    path: Path,
    noise: ConditionNoise,
    *,
    frames: int,
    seed: int,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    made: Mapping[str, Any] | None = None,
) -> None:
    """Spoil the views of every item of ``clean`` and encode them, for all its choices of views.

    Each of ``noise.variants`` versions of an item is spoiled in one way, which depends on the seed and the item.

    Args:
        source: what ``clean`` was encoded from.
        clean: encoded clips, mirrored ones after their originals.
        conditioner: makes the control latents, as for ``clean``.
        path: the file to write.
        noise: what goes wrong, and how far.
        frames: frames per clip.
        seed: of what goes wrong.
        device: where the encoders run.
        progress: called with (items done, items in all).
        made: JSON that says of what these are, see ``train.latents.cache.made_of``.

    Raises:
        ValueError: for encoded clips that do not say which clip of the source they are of.
    """
    if clean.clips is None:
        raise ValueError("expected latents that name their clips, got older ones; encode the clips again.")
    seen: set[int] = set()
    choices = [choice for choice in range(FIXED_CHOICES + clean.subsets) if choice != NOTHING]
    given = clean.tensors["given"][:, choices]
    rows: list[Tensor] = []
    for item, clip in enumerate(clean.clips):
        clips = source.get([clip], frames)
        video = augment.video(augment.mirror(clips) if clip in seen else clips)[0].to(device)
        seen.add(clip)
        versions = [spoil(video, noise, generator(seed, "spoiled", item, k)) for k in range(noise.variants)]
        rows.append(torch.stack([_encode(version, given[item].to(device), conditioner) for version in versions]))
        if progress is not None:
            progress(item + 1, len(clean))
    metadata = {} if made is None else {"made": json.dumps(made)}
    with whole_file(path) as temporary:
        save_file({"control": torch.stack(rows)}, temporary, metadata)


def _encode(
    video: Float[Tensor, "F 3 H W"], given: Bool[Tensor, "k F"], conditioner: Conditioner
) -> Float[Tensor, "k C f h w"]:
    """Appearance half of the control latents for each choice of given frames."""
    joint = conditioner.control(video.expand(len(given), -1, -1, -1, -1), given)[:, :LATENT_CHANNELS]
    return split(joint)[0].half().cpu().contiguous()
