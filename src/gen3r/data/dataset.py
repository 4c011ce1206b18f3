"""Datasets of clips: folders of clip folders, or tar shards, read the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, overload, runtime_checkable

from gen3r.data.clip import Split
from gen3r.data.schema.folder import clip_folders
from gen3r.data.schema.record import RECORD_FILE, ClipRecord
from gen3r.data.schema.stored import StoredClip
from gen3r.data.shards.reading import open_shards


@runtime_checkable
class ClipSet(Protocol):
    """Clips that lie together, by number."""

    @property
    def place(self) -> str:
        """Where they lie, for messages."""
        ...

    def records(self) -> tuple[ClipRecord, ...]:
        """What is known of every clip, in the fixed order of the set; times, which are many, are left out (None)."""
        ...

    def clip(self, index: int) -> StoredClip:
        """The clip of this number."""
        ...


class FolderSet:
    """Clip folders directly below one folder, by name."""

    def __init__(self, folder: Path, clips: Sequence[Path]) -> None:
        self._folder = folder
        self._clips = tuple(clips)
        self._records = tuple(replace(open_clip(path).record, times=None) for path in self._clips)

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder)

    def records(self) -> tuple[ClipRecord, ...]:
        """Of every clip."""
        return self._records

    def clip(self, index: int) -> StoredClip:
        """The clip of this number."""
        return open_clip(self._clips[index])


class ClipDataset(Sequence[StoredClip]):
    """The clips of one or several datasets in a fixed order: by place as given, then by name.

    What is in memory is one small record per clip; `StoredClip` reads the rest when asked. It can be pickled, and used
    by several threads and processes at once.
    """

    def __init__(self, datasets: Sequence[Sequence[ClipSet]], *, split: Split | None = None) -> None:
        self._sets = tuple(clips for dataset in datasets for clips in dataset)
        entries: list[tuple[ClipSet, int, ClipRecord]] = []
        for dataset in datasets:
            own = [(clips, index, record) for clips in dataset for index, record in enumerate(clips.records())]
            entries += sorted(own, key=lambda entry: entry[2].name)
        self._entries = tuple(entry for entry in entries if split is None or entry[2].split == split)
        if not self._entries:
            places = ", ".join(clips.place for clips in self._sets)
            raise ValueError(f"{places}: no clip{f' of the split {split!r}' if split else ''} here.")

    @classmethod
    def open(cls, paths: str | Path | Sequence[str | Path], *, split: Split | None = None) -> ClipDataset:
        """Open datasets.

        Opening reads scene.json of every clip folder, or one index per set of shards; shards of many clips open much
        faster.

        Args:
            paths: dataset folders (clip folders, or shards with their index), or single clip folders.
            split: keep these clips alone.

        Raises:
            ValueError: for a folder that holds neither, an unreadable scene.json or index, a shard that is missing or
                of another length than its index says, two clips of one name in a dataset, and if nothing is left.
        """
        listed = [paths] if isinstance(paths, str | Path) else list(paths)
        return cls([open_sets(Path(path)) for path in listed], split=split)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the clips; unique within each dataset."""
        return tuple(record.name for _, _, record in self._entries)

    @property
    def records(self) -> tuple[ClipRecord, ...]:
        """What is known of every clip without reading it: its record, times left out (None)."""
        return tuple(record for _, _, record in self._entries)

    def __len__(self) -> int:
        """Number of clips."""
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> StoredClip: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[StoredClip]: ...
    def __getitem__(self, index: int | slice) -> StoredClip | Sequence[StoredClip]:
        """The clip of this number; `IndexError` beyond the last."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        clips, inside, _ = self._entries[index]
        return clips.clip(inside)

    def __iter__(self) -> Iterator[StoredClip]:
        """All clips in order."""
        return (self[index] for index in range(len(self)))


def open_clip(folder: Path) -> StoredClip:
    """The clip in a clip folder of a dataset.

    Raises:
        ValueError: as `StoredClip.open`, and if the folder is not named as the clip.
    """
    clip = StoredClip.open(folder)
    if folder.name != clip.name:
        raise ValueError(f"{folder} holds the clip {clip.name}; name the folder as {RECORD_FILE} names the clip.")
    return clip


def open_sets(path: Path) -> list[ClipSet]:
    """The sets of clips in a dataset folder, or the one clip of a clip folder.

    Raises:
        ValueError: as `ClipDataset.open`.
    """
    if not path.is_dir():
        raise ValueError(
            f"{path} is not a folder; a dataset is a folder of clip folders, or of tar shards with their index."
        )
    if (path / RECORD_FILE).is_file():
        return [FolderSet(path.parent, [path])]
    sets: list[ClipSet] = [*open_shards(path)]
    if not sets:
        sets = [FolderSet(path, clip_folders(path))]
    elif any(path.glob(f"*/{RECORD_FILE}")):
        raise ValueError(f"{path} holds shards and clip folders; keep them in folders of their own.")
    doubled = [name for name, count in Counter(r.name for s in sets for r in s.records()).items() if count > 1]
    if doubled:
        raise ValueError(
            f"{path} holds several clips named {', '.join(doubled[:3])}; names must be unique in a dataset."
        )
    return sets
