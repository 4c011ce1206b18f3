"""Encoded clips of one split as training data: which of them are read, and in which mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gen3r.data.clip import Split
from gen3r.hub.networks import TEXT_ENCODER, OpenModel
from gen3r.train.earlier import Parts
from gen3r.train.latents import LatentShards, model_identities, open_latents
from gen3r.train.latents.layout import MANIFEST_FILE
from gen3r.train.opening import MixtureGroups, NoSuchSplitError, mixture_entries
from gen3r.train.order import Chosen, Order, Weighted


@dataclass(frozen=True)
class EncodedClips:
    """Latent shards, and the items of them that one split has, by dataset."""

    latents: LatentShards
    """All items."""
    groups: tuple[tuple[int, ...], ...]
    """Items of each dataset."""
    weights: tuple[float, ...]
    """How often each dataset is drawn."""

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    def first(self, count: int) -> EncodedClips:
        """The first items alone."""
        groups, left = [], count
        for group in self.groups:
            groups.append(group[: max(0, left)])
            left -= len(group)
        kept = [(group, weight) for group, weight in zip(groups, self.weights, strict=True) if group]
        return EncodedClips(self.latents, tuple(group for group, _ in kept), tuple(weight for _, weight in kept))

    def order(self, seed: int) -> Order:
        """Shuffled epochs of one dataset; a mixture of several."""
        if len(self.groups) == 1:
            return Chosen(self.groups[0], seed)
        return Weighted(self.groups, self.weights, seed)


def are_encoded(paths: Sequence[Path]) -> bool:
    """Whether these are folders of encoded clips, or mixture files of such.

    Raises:
        ValueError: if some are and others are not.
    """
    entries = [entry for path in paths if path.is_dir() or path.is_file() for entry in mixture_entries(path)]
    encoded = [(entry.path / MANIFEST_FILE).is_file() for entry in entries]
    if any(encoded) and not all(encoded):
        other = next(entry.path for entry, is_encoded in zip(entries, encoded, strict=True) if not is_encoded)
        raise ValueError(f"expected encoded clips throughout, but {other} is none; encode it with gen3r data encode.")
    return any(encoded)


def open_encoded(paths: Sequence[Path], split: Split, expected: Mapping[str, str]) -> EncodedClips:
    """The encoded clips of one split in some folders and mixture files.

    Args:
        paths: see ``are_encoded``. For what datasets weigh see `MixtureGroups`.
        split: others are not read.
        expected: sha256 of networks; latents of other ones are refused.

    Raises:
        ValueError: as `open_latents`, and (`NoSuchSplitError`) if there is nothing of the split.
    """
    entries = [entry for path in paths for entry in mixture_entries(path)]
    latents = open_latents([entry.path for entry in entries], expected)
    groups, number = MixtureGroups(entries), 0
    for place, entry in enumerate(entries):
        for item in open_latents(entry.path).items:
            if item.split == split:
                groups.add(place, item.source, number)
            number += 1
    if not groups.members:
        found = sorted({item.split for item in latents.items})
        raise NoSuchSplitError(
            f"expected encoded {split} clips in {', '.join(map(str, paths))}, found only {', '.join(found)}; clips of "
            "another split are never read."
        )
    return EncodedClips(latents, tuple(map(tuple, groups.members)), groups.weights)


def identities(parts: Parts, tokenizer: Path | None) -> dict[str, str]:
    """sha256 of the encoders among some networks, by kind; a text encoder counts with its tokenizer, or not at all."""
    known = {kind: part for kind, part in parts.items() if kind != TEXT_ENCODER or tokenizer is not None}
    model = OpenModel(settings={}, origin=Path(), parts=known, tokenizer=tokenizer or Path())
    return model_identities(model)
