"""From the paths a user gives for training data to clips of one split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

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
    """Scenes of one split, and the weights of their datasets in a mixture.

    Args:
        paths: dataset folders, and mixture files that name some.
        split: scenes of others are never read.
        limit: use at most so many scenes: the first ones.

    Raises:
        ValueError: for what is neither, and (`NoSuchSplitError`) for datasets without scenes of the split, saying what
            they have.
    """
    scenes, weights = [], []
    for entry in chain.from_iterable(map(mixture_entries, paths)):
        dataset = _open(entry.path, split)
        left = len(dataset) if limit is None else limit - sum(map(len, scenes))
        if left > 0:
            scenes.append(Scenes(dataset, min(left, len(dataset))))
            weights.append(default_weight(dataset.records[0].source) if entry.weight is None else entry.weight)
    return tuple(scenes), tuple(weights)


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
