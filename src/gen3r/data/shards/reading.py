"""Reading single files of clips out of tar shards, by offset."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gen3r.data.schema.record import RECORD_FILE, ClipRecord
from gen3r.data.schema.stored import StoredClip
from gen3r.data.shards.index import INDEX_SUFFIX, Shard, read_header, read_line
from gen3r.data.shards.members import on_tape, spans, unpacked_sizes
from gen3r.scene.files import check_file, reading


@dataclass(frozen=True)
class TarFiles:
    """The files of one clip in a tar file. The file is open only while something is read."""

    shard: Path
    """The tar file."""
    name: str
    """Of the clip."""
    spans: dict[str, tuple[int, int]] = field(repr=False)
    """(first byte, bytes) by file name."""

    @property
    def place(self) -> str:
        """Shard and clip."""
        return f"{self.shard}:{self.name}"

    def pictures(self, folder: str) -> tuple[str, ...]:
        """Names of the pictures, in order."""
        return tuple(name for name in self.spans if name.startswith(f"{folder}/"))

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self.spans

    def read(self, name: str) -> bytes:
        """A file whole; `ValueError` if it is missing or beyond the end of the shard."""
        if name not in self.spans:
            raise ValueError(f"{self.place} lacks {name}.")
        start, size = self.spans[name]
        with reading(self.shard), self.shard.open("rb") as file:
            file.seek(start)
            content = file.read(size)
        if len(content) != size:
            raise ValueError(f"{self.shard} ends within {self.name}/{name}; get a fresh copy.")
        return content


class ShardSet:
    """The shards that one index describes.

    The index is read once for the records; what lies where is read again, clip by clip, when a clip is opened.

    Raises:
        ValueError: for a damaged index, and for shards that are missing or of another length than it says.
    """

    def __init__(self, index: Path) -> None:
        check_file(index)
        self._index = index
        with index.open("rb") as file:
            self.shards = read_header(file.readline(), index)
            self._lines: list[int] = []
            records: list[ClipRecord] = []
            while True:
                begin = file.tell()
                line = file.readline()
                if not line:
                    break
                self._lines.append(begin)
                records.append(_record(read_line(line, index), index))
        self._records = tuple(records)
        expected = sum(shard.clips for shard in self.shards)
        if len(records) != expected:
            raise ValueError(f"{index} describes {len(records)} clips, but its shards hold {expected}; it is damaged.")
        for shard in self.shards:
            self._check_length(shard)

    @property
    def place(self) -> str:
        """The index."""
        return str(self._index)

    @property
    def folder(self) -> Path:
        """Where index and shards lie."""
        return self._index.parent

    def records(self) -> tuple[ClipRecord, ...]:
        """Of every clip, in the order of the index, without times."""
        return self._records

    def clip(self, index: int) -> StoredClip:
        """The clip of this number."""
        with self._index.open("rb") as file:
            file.seek(self._lines[index])
            entry = read_line(file.readline(), self._index)
        record = self._records[index]
        try:
            shard = self.shards[_number(entry, "shard")]
            start = _number(entry, "start")
            sizes = list(unpacked_sizes(_listed(entry, "files")))
            found = spans(start, entry["files"])
        except (ValueError, IndexError) as error:
            raise ValueError(f"{self._index} misstates where {record.name} lies ({error}); pack it again.") from error
        if start + sum(on_tape(size) for _, size in sizes) > shard.bytes:
            raise ValueError(f"{self._index} puts {record.name} beyond the end of {shard.file}; pack it again.")
        files = TarFiles(self.folder / shard.file, record.name, found)
        read = ClipRecord.from_json(files.read(RECORD_FILE), f"{files.place}/{RECORD_FILE}")
        if replace(read, times=None) != replace(record, times=None):
            raise ValueError(f"{self._index} and {files.place}/{RECORD_FILE} disagree; get a fresh copy of both.")
        return StoredClip(files, read)

    def _check_length(self, shard: Shard) -> None:
        path = self.folder / shard.file
        if not path.is_file():
            raise ValueError(f"{self._index} names {shard.file}, which is missing; get it, or pack the clips again.")
        if path.stat().st_size != shard.bytes:
            raise ValueError(
                f"{path} has {path.stat().st_size} bytes, but its index says {shard.bytes}; get a fresh copy."
            )


def open_shards(folder: Path) -> list[ShardSet]:
    """The sets of shards in a folder, by name; none if it holds no tar file and no index.

    Raises:
        ValueError: as `ShardSet`, and for tar files that no index names.
    """
    sets = [ShardSet(path) for path in sorted(folder.glob(f"*{INDEX_SUFFIX}")) if not path.name.startswith(".")]
    known = {shard.file for opened in sets for shard in opened.shards}
    loose = sorted(path.name for path in folder.glob("*.tar") if path.name not in known)
    if loose:
        raise ValueError(
            f"{folder} holds {loose[0]}, which no index names: packing was not finished (run gen3r data pack again), "
            "or this is no set of shards."
        )
    return sets


def _record(entry: dict[str, Any], index: Path) -> ClipRecord:
    where = f"{index}, record of {entry.get('name')!r:.80}"
    record = ClipRecord.from_fields(entry.get("record"), where)
    if record.name != entry.get("name"):
        raise ValueError(f"{where} has the name {record.name}; pack the clips again with gen3r data pack.")
    return record


def _number(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} must be a whole number, at least 0, got {value!r:.80}.")
    return value


def _listed(entry: dict[str, Any], name: str) -> list[Any]:
    value = entry.get(name)
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {value!r:.80}.")
    return value
