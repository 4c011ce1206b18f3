"""Packing clips into tar shards: a plan of what goes where, one unit of work per shard, and the index at the end."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from gen3r.data.clip import Split
from gen3r.data.dataset import ClipDataset
from gen3r.data.schema.files import FolderFiles
from gen3r.data.schema.record import (
    CAMERAS_FILE,
    CAPTIONS_FILE,
    DEPTH,
    FRAMES,
    MASKS,
    RECORD_FILE,
    VIDEO_FILE,
    ClipRecord,
)
from gen3r.data.schema.stored import StoredClip
from gen3r.data.shards.index import Shard, index_name, shard_name, write_index
from gen3r.data.shards.members import LONGEST_NAME, member_name, on_tape, packed_sizes, picture_key
from gen3r.whole_file import whole_file

SHARD_BYTES = 1_000_000_000
"""Default size of a shard: large enough to be read in one go from network disks, small enough to copy about."""
_PLAN = ".packing.json"


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """What to pack where."""

    source: Path
    """Dataset of clip folders."""
    target: Path
    """Folder for the shards."""
    shard_bytes: int = SHARD_BYTES
    """A shard is closed before it grows beyond this; a larger clip has one for itself."""
    splits: tuple[Split, ...] = ("train", "validation", "held-out")
    """Which to pack; each becomes a set of its own, ``train-00000.tar`` and so on."""
    leave_out: frozenset[str] = frozenset()
    """Names of clips that are not packed."""

    def __post_init__(self) -> None:
        if self.shard_bytes < 1:
            raise ValueError(f"shard_bytes must be at least 1, got {self.shard_bytes}.")


def plan_packing(config: PackConfig) -> list[dict[str, Any]]:
    """Decide which clip goes into which shard: the items for `PackShard`, one per shard that is not there yet.

    Within a split, clips are ordered by a hash of their names, so that who reads shard by shard sees a mixture. The
    plan is kept in the target until packing is finished; a later call goes on with it.

    Raises:
        ValueError: if the source holds no clips to pack, a name is too long for a tar header, or the target holds
            something else, or shards of another source or size.
    """
    path = config.target / _PLAN
    if any(config.target.glob(f"*{index_name('')}")) and not path.is_file():
        raise ValueError(f"{config.target} holds finished shards; choose another folder.")
    plan = _plan(config, ClipDataset.open(config.source))
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != plan:
            raise ValueError(
                f"{config.target} holds part of a packing of other clips or another size; go on with the same source "
                "and --shard-size, or choose another folder."
            )
    else:
        if config.target.exists() and (not config.target.is_dir() or any(config.target.glob("*.tar"))):
            raise ValueError(f"{config.target} must be a new folder, or one of an unfinished packing.")
        config.target.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(plan), encoding="utf-8")
    return _undone(config.target, plan)


class PackShard:
    """The unit of work: writes one shard and, after it, its part of the index.

    Args:
        settings: ``source`` and ``target``, paths.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._clips = ClipDataset.open(settings["source"])
        self._numbers = {name: number for number, name in enumerate(self._clips.names)}
        self._target = Path(settings["target"])

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Write the shard of ``item`` (one of `plan_packing`), if it is not there yet.

        Raises:
            ValueError: if a clip cannot be read, or lacks a file.
        """
        part = _part(self._target, item["key"])
        if not part.is_file():
            path = self._target / f"{item['key']}.tar"
            with whole_file(path) as temporary:
                with temporary.open("wb") as file:
                    hashed = _Hashed(file)
                    entries = write_shard(hashed, (self._clips[self._numbers[name]] for name in item["clips"]))
                shard = Shard(file=path.name, bytes=hashed.bytes, sha256=hashed.digest(), clips=len(entries))
            with whole_file(part) as temporary:
                temporary.write_text(json.dumps({"shard": asdict(shard), "entries": entries}), encoding="utf-8")
        return {"clips": len(item["clips"])}


def write_shard(file: BinaryIO | _Hashed, clips: Iterable[StoredClip]) -> list[dict[str, Any]]:
    """Write clips as one tar file, the same bytes whenever and wherever; returns their entries for the index."""
    entries: list[dict[str, Any]] = []
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:  # type: ignore[arg-type]
        for clip in clips:
            start, sizes = tar.offset, []
            for key, content in clip_members(clip):
                header = tarfile.TarInfo(member_name(clip.name, key))
                header.size = len(content)
                tar.addfile(header, io.BytesIO(content))
                sizes.append((key, len(content)))
            record = json.loads(replace(clip.record, times=None).to_json())
            entries.append({"name": clip.name, "start": start, "files": packed_sizes(sizes), "record": record})
    return entries


def clip_members(clip: StoredClip) -> Iterable[tuple[str, bytes]]:
    """(key, content) of all files of a clip in the order of a shard; clips of version 1 become version 2.

    Raises:
        ValueError: for a file that is missing.
    """
    yield RECORD_FILE, clip.record.to_json().encode()
    yield CAMERAS_FILE, clip.files.read(CAMERAS_FILE)
    yield CAPTIONS_FILE, "".join(f"{line}\n" for line in clip.captions).encode()
    for folder in picture_folders(clip.record):
        names = clip.pictures(folder)
        for index, name in enumerate(names):
            yield picture_key(folder, index, Path(name).suffix.lower()), clip.files.read(name)
    if clip.record.frames_kind == "video":
        yield VIDEO_FILE, clip.files.read(VIDEO_FILE)


def picture_folders(record: ClipRecord) -> tuple[str, ...]:
    """The folders of pictures that a clip has."""
    present = {FRAMES: record.frames_kind == "pictures", DEPTH: record.depth_scale is not None, MASKS: record.masks}
    return tuple(folder for folder, there in present.items() if there)


def finish_packing(config: PackConfig) -> list[Path]:
    """Join the parts into one index per split, and remove what was only there to go on with: the plan last.

    Killed half way, it is done by calling it again.

    Raises:
        ValueError: if shards of the plan are missing.
    """
    plan_path = config.target / _PLAN
    plan = json.loads(plan_path.read_text(encoding="utf-8"))
    missing = [item["key"] for item in _undone(config.target, plan)]
    if missing:
        raise ValueError(
            f"{len(missing)} shards of {config.target} are missing ({missing[0]}, ...); pack again to go on."
        )
    indexes = _indexes(config.target, plan)
    if not _indexed(config.target, plan):
        for split, index in indexes.items():
            _join(index, [_part(config.target, item["key"]) for item in plan["items"] if item["split"] == split])
    for item in plan["items"]:
        _part(config.target, item["key"]).unlink(missing_ok=True)
    for abandoned in config.target.glob(".*.partial"):  # by a process that was killed
        abandoned.unlink()
    plan_path.unlink()
    return list(indexes.values())


def _join(index: Path, parts: Sequence[Path]) -> None:
    read = [json.loads(part.read_text(encoding="utf-8")) for part in parts]
    shards = [Shard(**part["shard"]) for part in read]
    write_index(index, shards, ({"name": e["name"], "shard": n} | e for n, p in enumerate(read) for e in p["entries"]))


def _undone(target: Path, plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The shards still to be written. None once all indexes are there: parts are removed after that alone."""
    if _indexed(target, plan):
        return []
    return [item for item in plan["items"] if not _part(target, item["key"]).is_file()]


def _indexed(target: Path, plan: dict[str, Any]) -> bool:
    return all(path.is_file() for path in _indexes(target, plan).values())


def _indexes(target: Path, plan: dict[str, Any]) -> dict[str, Path]:
    """The index of each split."""
    return {split: target / index_name(split) for split in dict.fromkeys(item["split"] for item in plan["items"])}


def _plan(config: PackConfig, clips: ClipDataset) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for split in config.splits:
        chosen = [clip for clip in clips if clip.record.split == split and clip.name not in config.leave_out]
        long = [clip.name for clip in chosen if len(clip.name) > LONGEST_NAME]
        if long:
            raise ValueError(
                f"the clip name {long[0]} is longer than {LONGEST_NAME} characters; shorten it to pack it."
            )
        chosen.sort(key=lambda clip: hashlib.sha256(clip.name.encode()).digest())
        for number, names in enumerate(_filled(chosen, config.shard_bytes)):
            items.append({"key": shard_name(split, number).removesuffix(".tar"), "split": split, "clips": names})
    if not items:
        raise ValueError(f"{config.source} holds no clip of the splits {', '.join(config.splits)}.")
    return {"shard_bytes": config.shard_bytes, "items": items}


def _filled(clips: Sequence[StoredClip], limit: int) -> list[list[str]]:
    """Names per shard, in order, as many as fit."""
    shards: list[list[str]] = []
    filled = limit
    for clip in clips:
        size = _packed_size(clip)
        if filled + size > limit:
            shards.append([])
            filled = 0
        shards[-1].append(clip.name)
        filled += size
    return shards


def _packed_size(clip: StoredClip) -> int:
    if not isinstance(clip.files, FolderFiles):
        raise ValueError(f"{clip.files.place} is packed already; unpack it first to pack it otherwise.")
    folder = clip.files.folder
    places = [folder, *(folder / part for part in picture_folders(clip.record))]
    return sum(on_tape(path.stat().st_size) for place in places if place.is_dir() for path in place.iterdir())


def _part(target: Path, key: str) -> Path:
    return target / f".{key}.part.json"


class _Hashed:
    """A file for writing that hashes what passes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash, self.bytes = file, hashlib.sha256(), 0

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        self.bytes += len(content)
        return self._file.write(content)

    def tell(self) -> int:
        return self.bytes

    def digest(self) -> str:
        return self._hash.hexdigest()
