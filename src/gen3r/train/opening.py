"""From the paths a user gives for training data to clips of one split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gen3r.data.clip import Split
from gen3r.data.dataset import ClipDataset, open_sets
from gen3r.data.mixture import MIXTURE_SUFFIXES, MixtureEntry, default_weight, read_mixture
from gen3r.train.stored import Scenes

PACK_SUFFIX = ".safetensors"


class NoSuchSplitError(ValueError):
    """Data has no clips of the split that is asked for."""


def are_packs(paths: Sequence[Path]) -> bool:
    """Whether these are packs of clips rather than datasets.

    Raises:
        ValueError: if some are and others are not.
    """
    packs = [path.suffix == PACK_SUFFIX for path in paths]
    if any(packs) and not all(packs):
        raise ValueError(
            f"expected packs (*{PACK_SUFFIX}) or datasets, got both: {', '.join(map(str, paths))}; train on the one "
            "or the other."
        )
    return any(packs)


def open_scenes(
    paths: Sequence[Path], split: Split, limit: int | None = None
) -> tuple[tuple[Scenes, ...], tuple[float, ...]]:
    """Scenes of one split by dataset (see `MixtureGroups`), and the weights of the datasets in a mixture.

    Args:
        paths: dataset folders, and mixture files that name some.
        split: scenes of others are never read.
        limit: use at most so many scenes: the first ones.

    Raises:
        ValueError: for what is neither, and (`NoSuchSplitError`) for datasets without scenes of the split, saying what
            they have.
    """
    groups = MixtureGroups([entry for path in paths for entry in mixture_entries(path)])
    left = limit
    for number, entry in enumerate(groups.entries):
        dataset = _open(entry.path, split)
        records = dataset.records[:left]
        for place, record in enumerate(records):
            groups.add(number, record.source, (dataset, place, record))
        left = None if left is None else left - len(records)
    scenes = (
        Scenes(tuple((dataset, place) for dataset, place, _ in members), tuple(record for _, _, record in members))
        for members in groups.members
    )
    return tuple(scenes), groups.weights


class MixtureGroups:
    """What is drawn alike in a mixture: all clips of one source, wherever they lie; or a folder with its own weight.

    Stages read pictures and encoded clips by the same rule.
    """

    def __init__(self, entries: Sequence[MixtureEntry]) -> None:
        self.entries = tuple(entries)
        self._groups: dict[tuple[int | None, str], list[Any]] = {}

    def add(self, entry: int, source: str, member: Any) -> None:
        """Add a clip of ``source`` in the folder of this number."""
        own = self.entries[entry].weight is not None
        self._groups.setdefault((entry, "") if own else (None, source), []).append(member)

    @property
    def members(self) -> list[list[Any]]:
        """The groups, in the order of their first members."""
        return list(self._groups.values())

    @property
    def weights(self) -> tuple[float, ...]:
        """How often each group is drawn: what a mixture file says of a folder, else what the source weighs."""
        found = [
            default_weight(source) if entry is None else self.entries[entry].weight for entry, source in self._groups
        ]
        return tuple(weight for weight in found if weight is not None)


def mixture_entries(path: Path) -> list[MixtureEntry]:
    """The folder itself, or the datasets that a mixture file names.

    Raises:
        ValueError: for anything else.
    """
    if path.is_dir():
        return [MixtureEntry(path=path)]
    if path.is_file() and path.suffix in MIXTURE_SUFFIXES:
        return read_mixture(path)
    raise ValueError(
        f"expected a dataset folder, a mixture file ({', '.join(MIXTURE_SUFFIXES)}) or a pack (*{PACK_SUFFIX}), got "
        f"{path}{'' if path.exists() else ', which does not exist'}."
    )


def _open(path: Path, split: Split) -> ClipDataset:
    sets = open_sets(path)
    splits = Counter(record.split for part in sets for record in part.records())
    if not splits[split]:
        found = ", ".join(f"{count} {name}" for name, count in sorted(splits.items()))
        raise NoSuchSplitError(
            f"expected {split} clips in {path}, found only {found or 'none'}; clips of another split are never read."
        )
    return ClipDataset([sets], split=split)
