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
from gen3r.jobs.scenes.fitting import Sizes, check_fits
from gen3r.jobs.scenes.orders import SceneOrder
from gen3r.jobs.scenes.verdicts import Judgement, Limits, judge
from gen3r.jobs.work import JobItem, WorkSpec
from gen3r.scene.scene import ARRAYS_FILE

MAKE = "gen3r.jobs.scenes.make:MakeScene"
CLIP = "gen3r.jobs.scenes.clips:WriteClip"
MADE_WITH = ("model", "revision", "dtype", "numerics", "acceleration", "scene_cameras")
"""Settings of `MakeScene` on which the scenes depend."""
UNASKED = Judgement(status="unasked", reason="no line of the file asks for it any more")
REMOVED = "its files were dropped when it was rejected; delete the folder {folder}, and it will be made again"


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """What became of the orders."""

    run: RunReport
    """Of the making."""
    counts: dict[str, int]
    """Orders by status: accepted, rejected, duplicate, failed, and removed: accepted, but its files were dropped."""
    others: int = 0
    """Scenes of earlier calls that none of these orders asks for, or that are made twice: they were put aside."""
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
    are made once, whatever they are called and wherever they stand. Scenes that no order asks for any more are put
    among the rejected ones, and clips of scenes that are not accepted are removed.

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
        ValueError: for a folder of other scenes, an order whose name is taken by another scene, orders that the
            model cannot make (see `check_fits`), and settings that cannot be used.
    """
    limits, collection = limits or Limits(), Collection(out)
    check_fits(orders, Sizes.of(settings["model"], settings.get("revision")))
    collection.begin({name: settings.get(name) for name in MADE_WITH})
    leaders = _leaders(orders, collection)
    known = collection.records()
    run = run_jobs(
        [JobItem(key=order.id, payload=order.to_json()) for order in leaders.values()],
        WorkSpec(unit=MAKE, settings={**settings, "out": str(collection.folder.resolve())}, gpus=gpus),
        collection.folder / RUN,
        options,
        exists=lambda item: item.key in known,
        progress=progress,
    )
    records = {order.id: record for order in leaders.values() if (record := collection.made(order)) is not None}
    places = _judged(collection, records, limits, keep_rejected)
    others = {
        name: _other_line(collection, record, leaders.get(record["content"]))
        for name, record in known.items()
        if name not in records
    }
    put_aside = len(others)
    accepted = [name for name, place in places.items() if place.status == "accepted"]
    collection.keep_clips(accepted)
    written = None
    if clips:
        written = run_jobs(
            [JobItem(key=name, payload={"key": name}) for name in accepted],
            WorkSpec(unit=CLIP, settings={"out": str(collection.folder.resolve()), "licence": licence}),
            collection.folder / CLIPS_RUN,
            options,
            exists=lambda item: (collection.clips / item.key).exists(),
        )
    lines = []
    for order in orders:
        name = leaders[order.content].id
        line: dict[str, Any] = {"id": order.id}
        if order.id != name:
            line |= asdict(_twin_of(name)) | {"request": _request(order)} | others.pop(order.id, {})
        elif name in records:
            line |= asdict(places[name]) | {"request": _request(order)} | _scene_fields(collection, records[name])
        else:
            line |= {"status": "failed", "reason": run.failed[name], "request": _request(order)}
        lines.append(line)
    collection.write_manifest([*lines, *others.values()])
    counts = Counter(line["status"] for line in lines)
    return BatchReport(run=run, counts=dict(counts), others=put_aside, clips=written)


def _leaders(orders: Sequence[SceneOrder], collection: Collection) -> dict[str, SceneOrder]:
    """Of all orders of equal content the one whose scene is made: that of a scene which is there, else the first.

    A scene whose name is in no line any more gets that of the first line that asks for it.

    Raises:
        ValueError: if the name of an order is taken by a scene of another one; nothing has been renamed then.
    """
    known = collection.records()
    by_content: dict[str, list[str]] = {}
    for name, record in known.items():
        by_content.setdefault(record["content"], []).append(name)
    leaders: dict[str, SceneOrder] = {}
    for order in orders:
        leader = leaders.setdefault(order.content, order)
        there = by_content.get(order.content, ())
        if leader.id not in there and order.id in there:
            leaders[order.content] = order
    for order in leaders.values():
        collection.made(order)
    for content, order in leaders.items():
        there = by_content.get(content, ())
        if there and order.id not in there:
            collection.rename(there[0], order.id)
    return leaders


def _other_line(collection: Collection, record: Mapping[str, Any], leader: SceneOrder | None) -> dict[str, Any]:
    """The manifest's line of a scene that no line of the file stands for; it is put aside, with its files."""
    judgement = UNASKED if leader is None else _twin_of(leader.id)
    collection.place(record["id"], accepted=False, keep=True)
    return {"id": record["id"]} | asdict(judgement) | _scene_fields(collection, record)


def _twin_of(name: str) -> Judgement:
    return Judgement(status="duplicate", reason=f"the same request as {name}", same_as=name)


def _scene_fields(collection: Collection, record: Mapping[str, Any]) -> dict[str, Any]:
    folder = collection.folder_of(record["id"])
    return {**record, "folder": folder.relative_to(collection.folder).as_posix(), "files": _files(folder)}


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
