"""Converting as a unit of work that runs in any process, and what there is to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gen3r.data.clip import Split
from gen3r.data.converters.registry import find_entry, load_converter
from gen3r.data.converting.parts import converted_scenes
from gen3r.data.converting.prompts import read_prompts
from gen3r.data.converting.raw import Findings, Found, Problem
from gen3r.data.converting.scene import convert_scene
from gen3r.data.converting.settings import ConvertSettings
from gen3r.data.schema import StoredClip
from gen3r.data.schema.record import ClipRecord
from gen3r.scene.export.output_folder import check_output_folder


@dataclass(frozen=True, kw_only=True)
class ConvertJob:
    """What to convert, to where and how."""

    dataset: str
    """Name of a converter."""
    source: str
    """The dataset as downloaded; never changed."""
    destination: str
    """The dataset folder that gets the clips."""
    settings: ConvertSettings = field(default_factory=ConvertSettings)
    """How."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, what `ConvertUnit` and `list_items` take."""
        return asdict(self) | {"settings": self.settings.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ConvertJob:
        """Back from plain values."""
        return cls(**{**values, "settings": ConvertSettings.from_json(values["settings"])})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a dataset holds, and what of it is to be converted."""

    todo: tuple[Found, ...]
    """Scenes that are not there yet."""
    there: tuple[Found, ...]
    """Scenes that were converted before."""
    problems: tuple[Problem, ...]
    """What cannot be converted, known without opening pictures."""

    @property
    def splits(self) -> dict[str, int]:
        """Number of scenes to do by split."""
        return dict(sorted(Counter(found.split for found in self.todo).items()))

    @property
    def frames(self) -> int:
        """Of the scenes to do, those of unknown length guessed to be as long as the others."""
        return _extrapolated([found.frames for found in self.todo])

    @property
    def size(self) -> int:
        """Bytes of their pictures, guessed likewise."""
        return _extrapolated([found.size for found in self.todo])


class ConvertUnit:
    """Converts one scene per call; made once per process from ``ConvertJob.to_json``."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._job = ConvertJob.from_json(settings)
        self._converter = load_converter(self._job.dataset)
        self._options = self._job.settings.options()
        self._prompts = read_prompts(self._job.settings.captions) if self._job.settings.captions else {}

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Convert the scene of an item of `list_items`; one that is there is left alone.

        Raises:
            UnusableScene: saying why there is no clip of it.
        """
        job = self._job
        found = Found(**{name: value for name, value in item.items() if name != "key"})
        return convert_scene(
            self._converter,
            Path(job.source),
            found,
            Path(job.destination),
            job.settings,
            options=self._options,
            prompts=self._prompts,
        ).to_json()


def make_plan(job: ConvertJob, *, splits: Collection[Split] = (), limit: int | None = None) -> Plan:
    """Look at a dataset without opening its pictures.

    Args:
        job: what to convert.
        splits: only scenes of these splits; all if empty.
        limit: only the first scenes, those that are there included.

    Raises:
        ValueError: if the source is not the dataset, the destination no folder that can be written, one inside the
            source, or that of another dataset, and for a choice that makes no difference to this dataset.
    """
    source, destination = Path(job.source), Path(job.destination)
    _check_options(job)
    _check_folders(source, destination)
    converter = load_converter(job.dataset)
    findings = converter.find(source, job.settings.options())
    scenes, repeated = _distinct(findings)
    chosen = [found for found in scenes if not splits or found.split in splits][:limit]
    done = converted_scenes(destination)
    there = [found for found in chosen if found.name in done]
    if there:
        _check_maker(StoredClip.open(destination / done[there[0].name]).record, converter.name, destination)
    return Plan(
        todo=tuple(found for found in chosen if found.name not in done),
        there=tuple(there),
        problems=(*findings.problems, *repeated, *_unknown_prompts(job.settings.captions, scenes)),
    )


def list_items(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scenes of ``ConvertJob.to_json`` that are not there yet, as JSON-able items for `ConvertUnit`."""
    return items_of(make_plan(ConvertJob.from_json(settings)))


def items_of(plan: Plan) -> list[dict[str, Any]]:
    """The scenes to do as JSON-able items for `ConvertUnit`."""
    return [{"key": found.name} | asdict(found) for found in plan.todo]


def _check_options(job: ConvertJob) -> None:
    """Raise ValueError for a choice that the converter does not heed."""
    heeded, usual = find_entry(job.dataset).heeds, ConvertSettings()
    for name in ("cameras", "square_windows", "rate", "include_benchmarks", "without_benchmark_list", "poses"):
        if name not in heeded and getattr(job.settings, name) != getattr(usual, name):
            raise ValueError(f"{job.dataset} has no use for --{name.replace('_', '-')}; leave it out.")


def _check_maker(record: ClipRecord, name: str, destination: Path) -> None:
    if record.source != name:
        raise ValueError(
            f"{destination} holds clips of {record.source}, among them one of the name {record.name} that {name} has "
            "too; give each dataset its own folder."
        )


def _unknown_prompts(captions: str | None, scenes: Collection[Found]) -> list[Problem]:
    """What a file of prompts says of scenes that are not there."""
    if captions is None:
        return []
    unknown = sorted(read_prompts(captions).keys() - {found.name for found in scenes})
    return [Problem(place=captions, reason=f"there is no scene {name}") for name in unknown]


def _check_folders(source: Path, destination: Path) -> None:
    if not source.exists():
        raise ValueError(f"there is no {source}; give the folder that the dataset was unpacked to.")
    resolved, inner = source.resolve(), destination.resolve()
    if inner == resolved or resolved in inner.parents:
        raise ValueError(f"the destination {destination} lies in the source {source}, which is never changed.")
    if not destination.is_dir():
        check_output_folder(destination)


def _distinct(findings: Findings) -> tuple[list[Found], list[Problem]]:
    """Each name once; the first one counts."""
    scenes: dict[str, Found] = {}
    repeated: list[Problem] = []
    for found in findings.scenes:
        first = scenes.setdefault(found.name, found)
        if first is not found:
            reason = f"its scene has the name {found.name}, which {first.place} has already"
            repeated.append(Problem(place=found.place, reason=reason))
    return [*scenes.values()], repeated


def _extrapolated(counts: list[int | None]) -> int:
    known = [count for count in counts if count is not None]
    return round(sum(known) * len(counts) / len(known)) if known else 0
