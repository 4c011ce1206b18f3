"""From orders to a collection of scenes: made once each, judged, listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gen3r.jobs.report import RunReport
from gen3r.jobs.runner import RunOptions, run_jobs
from gen3r.jobs.scenes.collection import CLIPS_RUN, RUN, Collection
from gen3r.jobs.scenes.orders import SceneOrder
from gen3r.jobs.scenes.verdicts import Judgement, Limits, judge
from gen3r.jobs.work import JobItem, WorkSpec
from gen3r.scene.scene import ARRAYS_FILE

MAKE = "gen3r.jobs.scenes.make:MakeScene"
CLIP = "gen3r.jobs.scenes.clips:WriteClip"
MADE_WITH = ("model", "revision", "dtype", "numerics", "acceleration", "scene_cameras")
"""Settings of `MakeScene` on which the scenes depend."""
REMOVED = "its files were dropped when it was rejected; delete the folder {folder}, and it will be made again"


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """What became of the orders."""

    run: RunReport
    """Of the making."""
    counts: dict[str, int]
    """Orders by status: accepted, rejected, duplicate, failed, and removed: accepted, but its files were dropped."""
    clips: RunReport | None = None
    """Of the writing of clips."""


def make_scenes(
    orders: Sequence[SceneOrder],
    settings: Mapping[str, Any],
    out: str | Path,
    *,
    limits: Limits | None = None,
    keep_rejected: bool = True,
    clips: bool = False,
    licence: str = "unknown",
    options: RunOptions | None = None,
    gpus: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> BatchReport:
    """Make the scenes that are not there yet, judge all of them, and write manifest.jsonl.

    Called again, it goes on where it ended, however that was; with other limits it judges anew. Orders of equal content
    are made once.

    Args:
        orders: see `read_orders`.
        settings: of `MakeScene`, without ``out``.
        out: the collection's folder, new or of the same settings.
        limits: what scenes must reach.
        keep_rejected: keep the files of the others; without it, only what is known of them stays.
        clips: write accepted scenes as clips to train on, too.
        licence: of these clips.
        options: where and by how many.
        gpus: what a worker needs of a GPU.
        progress: called with (scenes ended, scenes in all).

    Raises:
        ValueError: for a folder of other scenes, an order whose name is taken by another scene, and settings that
            cannot be used.
    """
    limits, collection = limits or Limits(), Collection(out)
    collection.begin({name: settings.get(name) for name in MADE_WITH})
    first: dict[str, SceneOrder] = {}
    for order in orders:
        first.setdefault(order.content, order)
    made = {order.id: collection.made(order) for order in first.values()}
    run = run_jobs(
        [JobItem(key=order.id, payload=order.to_json()) for order in first.values()],
        WorkSpec(unit=MAKE, settings={**settings, "out": str(collection.folder.resolve())}, gpus=gpus),
        collection.folder / RUN,
        options,
        exists=lambda item: made[item.key] is not None,
        progress=progress,
    )
    records = {order.id: record for order in first.values() if (record := collection.made(order)) is not None}
    places = _judged(collection, records, limits, keep_rejected)
    written = None
    if clips:
        written = run_jobs(
            [JobItem(key=name, payload={"key": name}) for name, place in places.items() if place.status == "accepted"],
            WorkSpec(unit=CLIP, settings={"out": str(collection.folder.resolve()), "licence": licence}),
            collection.folder / CLIPS_RUN,
            options,
            exists=lambda item: (collection.clips / item.key).exists(),
        )
    lines = []
    for order in orders:
        name = first[order.content].id
        line: dict[str, Any] = {"id": order.id}
        if order.id != name:
            twin = Judgement(status="duplicate", reason=f"the same request as {name}", same_as=name)
            line |= asdict(twin) | {"request": _request(order)}
        elif name in records:
            folder = collection.folder_of(name)
            line |= asdict(places[name]) | {"request": _request(order)} | records[name]
            line |= {"folder": folder.relative_to(collection.folder).as_posix(), "files": _files(folder)}
        else:
            line |= {"status": "failed", "reason": run.failed[name], "request": _request(order)}
        lines.append(line)
    collection.write_manifest(lines)
    return BatchReport(run=run, counts=dict(Counter(line["status"] for line in lines)), clips=written)


def _judged(
    collection: Collection, records: Mapping[str, Mapping[str, Any]], limits: Limits, keep_rejected: bool
) -> dict[str, Judgement]:
    """What becomes of each scene, which has been moved to where it belongs."""
    judgements = judge(records.values(), limits)
    for name, judgement in judgements.items():
        folder = collection.place(name, accepted=judgement.status == "accepted", keep=keep_rejected)
        if judgement.status == "accepted" and not (folder / ARRAYS_FILE).exists():
            judgements[name] = Judgement(status="removed", reason=REMOVED.format(folder=folder))
    return judgements


def _request(order: SceneOrder) -> dict[str, Any]:
    """What was asked for, without what was left out."""
    return {name: value for name, value in order.to_json().items() if value not in (None, (), "") and name != "content"}


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
