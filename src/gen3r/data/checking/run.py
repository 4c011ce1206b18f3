"""Checking a whole dataset: the items, the unit of work, and the report."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gen3r.data.checking.clip import check_clip
from gen3r.data.checking.report import ClipReport, Fault
from gen3r.data.checking.thresholds import CheckThresholds
from gen3r.data.dataset import ClipDataset, open_clip
from gen3r.data.schema.folder import clip_folders
from gen3r.data.shards.index import Shard
from gen3r.data.shards.reading import open_shards
from gen3r.whole_file import whole_file

FORMAT, VERSION = "gen3r-check", 1
REPORT = "check.json"
_CHUNK = 1 << 22


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """What to check, and how."""

    dataset: Path
    """Folder of clip folders or shards."""
    thresholds: CheckThresholds = field(default_factory=CheckThresholds)
    """When a clip counts as bad."""
    matching: bool = True
    """Compare cameras with points matched between pictures, if OpenCV is installed: most of the time a check takes."""

    def settings(self) -> dict[str, Any]:
        """For `CheckClip`."""
        return {"dataset": str(self.dataset), "thresholds": asdict(self.thresholds), "matching": self.matching}


def report_inside(dataset: Path) -> Path:
    """The report's place when none is named: check.json in the dataset.

    Raises:
        ValueError: if nothing can be written there.
    """
    try:
        with tempfile.TemporaryFile(dir=dataset):  # permission bits say little about read-only disks
            pass
    except OSError as error:
        raise ValueError(
            f"the report would be {dataset / REPORT}, but nothing can be written in {dataset} ({error.strerror}); name "
            "another place with --report FILE.json."
        ) from error
    return dataset / REPORT


def list_checks(config: CheckConfig) -> list[dict[str, Any]]:
    """The items for `CheckClip`: one per clip, and one per shard, whose hash is compared.

    Raises:
        ValueError: if there are no clips, and for shards that cannot be opened; clip folders that cannot are bad clips.
    """
    sets = open_shards(config.dataset)
    if not sets:
        return [{"key": folder.name, "folder": str(folder)} for folder in clip_folders(config.dataset)]
    items: list[dict[str, Any]] = [
        {"key": f"shard {shard.file}", "shard": asdict(shard) | {"folder": str(found.folder)}}
        for found in sets
        for shard in found.shards
    ]
    return items + [{"key": name, "clip": number} for number, name in enumerate(ClipDataset.open(config.dataset).names)]


class CheckClip:
    """The unit of work: looks at one clip, or at one shard as a whole; writes nothing.

    Args:
        settings: ``dataset``, ``thresholds`` and ``matching``, see `CheckConfig.settings`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._dataset = settings["dataset"]
        self._thresholds = CheckThresholds(**settings["thresholds"])
        self._matching = settings["matching"]

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """The record of a `ClipReport`."""
        if "shard" in item:
            values = dict(item["shard"])
            return check_shard(Path(values.pop("folder")), Shard(**values)).to_record()
        try:
            clip = open_clip(Path(item["folder"])) if "folder" in item else self._shards[item["clip"]]
        except ValueError as error:
            return ClipReport(clip=item["key"], faults=(Fault(reason="unreadable", detail=str(error)),)).to_record()
        return check_clip(clip, self._thresholds, matching=self._matching).to_record()

    @cached_property
    def _shards(self) -> ClipDataset:
        return ClipDataset.open(self._dataset)


def check_shard(folder: Path, shard: Shard) -> ClipReport:
    """Compare a shard with the hash in its index."""
    digest = hashlib.sha256()
    with (folder / shard.file).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    damaged = digest.hexdigest() != shard.sha256
    detail = "its SHA-256 is not the one in the index; get a fresh copy, or pack the clips again"
    return ClipReport(clip=shard.file, faults=(Fault(reason="damaged shard", detail=detail),) if damaged else ())


@dataclass(frozen=True, kw_only=True)
class DatasetReport:
    """What was found out about a dataset."""

    reports: tuple[ClipReport, ...]
    """Of every clip and shard that could be checked, by name."""
    failed: Mapping[str, str]
    """Why the others could not, by name."""

    @classmethod
    def of(cls, reports: Iterable[ClipReport], failed: Mapping[str, str]) -> DatasetReport:
        """In a fixed order."""
        return cls(reports=tuple(sorted(reports, key=lambda report: report.clip)), failed=dict(sorted(failed.items())))

    @property
    def bad(self) -> tuple[str, ...]:
        """Names of clips and shards that are bad, or could not be checked."""
        return tuple(sorted({report.clip for report in self.reports if report.faults} | set(self.failed)))

    @property
    def counts(self) -> dict[str, int]:
        """How many are bad, by reason, most first."""
        counts = Counter(reason for report in self.reports for reason in {fault.reason for fault in report.faults})
        return dict(counts.most_common()) | ({"not checked": len(self.failed)} if self.failed else {})

    @property
    def notes(self) -> dict[str, int]:
        """How many have a note, most first."""
        return dict(Counter(note for report in self.reports for note in report.notes).most_common())

    def write(self, path: Path, config: CheckConfig) -> None:
        """Write everything as JSON; the file appears whole."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            **config.settings(),
            "checked": len(self.reports),
            "bad": len(self.bad),
            "reasons": self.counts,
            "notes": self.notes,
            "failed": dict(self.failed),
            "clips": [report.to_record() for report in self.reports],
        }
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
