"""What the page does when something on it is used: values in, values and HTML out. No component is known here."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gen3r.apps.studio.errors import NotFinished, StudioError, TooLarge, UnknownSession, UnknownUpload
from gen3r.apps.studio.jobs import DONE, ENDED, Job, JobRequest, Upload
from gen3r.apps.studio.page.camera_drawing import path_drawing
from gen3r.apps.studio.page.drawn_path import DrawnPath, map_cameras
from gen3r.apps.studio.page.examples import EXAMPLES, Example
from gen3r.apps.studio.page.history import history_html
from gen3r.apps.studio.page.pictures import data_url
from gen3r.apps.studio.page.progress import announcement, error_card, progress_card
from gen3r.apps.studio.page.trajectory_choice import DRAWN, FREE
from gen3r.apps.studio.page.uploads_strip import ChosenView
from gen3r.apps.studio.service import Studio

_THUMBNAIL = 200
_PREVIEW_FRAMES = 9
_MOST_DRAWN = 1000


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The form as the page sends it; nothing in it is trusted."""

    kind: Any
    prompt: Any
    trajectory: Any
    drawn: Any
    frames: Any
    steps: Any
    guidance: Any
    seed: Any
    model: Any


WISHES = tuple(field.name for field in fields(Wishes))
"""The fields of the form in order."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What there is to see of a session: the current run and the list of all."""

    card: str
    """HTML of the current run."""
    said: str
    """What a screen reader says."""
    history: str | None
    """HTML of the list; None if it is the one that is listed already."""
    listed: str
    """What the list shows, to tell whether it has changed."""
    busy: bool
    """Whether any run is unfinished, so that the page has to ask again."""
    running: bool
    """Whether the current run is unfinished, so that it can be cancelled."""
    shown: str | None
    """The current run if it is done, so that its results can be seen."""


def known_session(studio: Studio, key: Any) -> str:
    """The session of a browser: the one it remembers if it is still there, else a new one."""
    return key if isinstance(key, str) and studio.has_session(key) else studio.new_session()


def current_run(studio: Studio, session: str) -> str | None:
    """The run to show first: the one that is being worked on, or else the next one waiting."""
    unfinished = [job for job in studio.jobs(session) if job.state not in ENDED]
    return min(unfinished, key=lambda job: (job.state != "running", job.created)).id if unfinished else None


def standing(studio: Studio, session: str, current: str | None, listed: str | None = None) -> Standing:
    """How everything of a session stands.

    Args:
        studio: of the session.
        session: its key.
        current: the run that is looked at.
        listed: of the standing before, so that an unchanged list is not made again.
    """
    jobs = studio.jobs(session)
    listing = json.dumps([current, *((job.id, job.state) for job in jobs)])
    job = next((job for job in jobs if job.id == current), None)
    return Standing(
        card="" if job is None else progress_card(job, preview_of(studio, session, job)),
        said="" if job is None else announcement(job),
        history=history_html(studio, session, jobs, current) if listing != listed else None,
        listed=listing,
        busy=any(job.state not in ENDED for job in jobs),
        running=job is not None and job.state not in ENDED,
        shown=job.id if job is not None and job.state == DONE else None,
    )


def preview_of(studio: Studio, session: str, job: Job) -> Path | None:
    """The picture of a running job, if there is one."""
    return studio.preview(session, job.id) if job.has_preview and job.state not in ENDED else None


def own_session(key: Any) -> str:
    """The session of a browser that has one.

    Raises:
        UnknownSession: if it names none.
    """
    if not isinstance(key, str):
        raise UnknownSession("this page has no session yet", "reload the page")
    return key


def event_values(event: Any) -> dict[str, Any]:
    """What one of our scripts tells with an event, or nothing if a client tells something else."""
    return event._data if isinstance(event._data, dict) else {}


def example_views(studio: Studio, session: str, example: Example) -> tuple[list[ChosenView], str]:
    """As `taken_views`; what the session has already of an example is not taken in again."""
    there = {(upload.name, upload.bytes): upload for upload in studio.uploads(session)}
    views, problems = [], ""
    for file in example.paths:
        upload = there.get((file.name, file.stat().st_size))
        if upload is not None and filecmp.cmp(studio.upload_file(session, upload.id), file, shallow=False):
            views.append(_chosen(studio, session, upload))
        else:
            views, problem = taken_views(studio, session, views, [file])
            problems += problem
    return views, problems


def forget_views(studio: Studio, session: str, views: Sequence[ChosenView]) -> None:
    """Remove uploads that are no longer chosen, so that there is room for others; a run that needs one keeps it."""
    for view in views:
        with suppress(NotFinished, UnknownUpload):
            studio.remove_upload(session, view.upload.id)


def taken_views(
    studio: Studio, session: str, before: Sequence[ChosenView], files: Sequence[Path]
) -> tuple[list[ChosenView], str]:
    """Give files to the studio; the views there are now, and the HTML of what was wrong with some of them."""
    views, problems = list(before), ""
    for file in files:
        try:
            with file.open("rb") as stream:
                upload = studio.add_upload(session, stream, file.name)
            if upload.kind == "video" or any(view.upload.kind == "video" for view in views):
                views = []  # a video stands alone
            views.append(_chosen(studio, session, upload))
        except StudioError as error:
            problems += error_card(error, f"{file.name} cannot be used")
    if len(views) > studio.limits.views_per_job:
        forget_views(studio, session, views[studio.limits.views_per_job :])
        views = views[: studio.limits.views_per_job]
        problems += error_card(TooLarge(f"a scene is made from at most {len(views)} views", "the first ones were kept"))
    return views, problems


def _chosen(studio: Studio, session: str, upload: Upload) -> ChosenView:
    own = studio.upload_file(session, upload.id)
    return ChosenView(upload=upload, thumbnail=data_url(own, _THUMBNAIL, video=upload.kind == "video"))


def changed_views(views: Sequence[ChosenView], wanted: dict[str, Any]) -> list[ChosenView]:
    """Remove a view or make it the first, as a button of the strip asks; anything else changes nothing."""
    action, index = wanted.get("action"), wanted.get("index")
    if type(index) is not int or not 0 <= index < len(views):
        return list(views)
    rest = [view for place, view in enumerate(views) if place != index]
    return [views[index], *rest] if action == "first" else rest if action == "remove" else list(views)


def wanted_example(wanted: dict[str, Any]) -> Example | None:
    """The example whose button was used."""
    name = wanted.get("example")
    return EXAMPLES.get(name) if isinstance(name, str) else None


def job_request(views: Sequence[ChosenView], wishes: Wishes) -> JobRequest:
    """The form as a request.

    Raises:
        ValueError: for what cannot be asked for, saying what to change.
    """
    prompt = wishes.prompt.strip() if isinstance(wishes.prompt, str) else ""
    uploads = [view.upload.id for view in views]
    generates = wishes.kind != "reconstruct"
    if not uploads and not (generates and prompt):
        need = "a photo, a video or a prompt" if generates else "photos or a video"
        raise ValueError(f"the studio needs {need}; add one above, or pick an example")
    values: dict[str, Any] = {"kind": wishes.kind, "uploads": uploads, "model": wishes.model}
    values["frames"] = _whole(wishes.frames, "Frames")
    if generates:
        values |= {"prompt": prompt, "steps": _whole(wishes.steps, "Steps"), "seed": _whole(wishes.seed, "Seed") or 0}
        values["guidance"] = None if wishes.guidance is None else _number(wishes.guidance, "Guidance")
        if wishes.trajectory == DRAWN:
            frames = values["frames"]
            if frames is None or not 1 <= frames <= _MOST_DRAWN:
                raise ValueError(f"Frames: a drawn path needs 1 to {_MOST_DRAWN}; change it and start again")
            values["camera_path"] = DrawnPath.from_page(wishes.drawn).record(frames)
        else:
            values["trajectory"] = wishes.trajectory or FREE
    try:
        return JobRequest(**values)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]).replace("_", " ") if first["loc"] else "the form"
        raise ValueError(f"{field}: {first['msg']}; change it and start again") from error


def path_preview(value: Any) -> str:
    """The cameras of a drawn path for the map, and its drawing, as JSON; or what is wrong with it."""
    frames = value.get("frames") if isinstance(value, dict) else None
    try:
        count = frames if type(frames) is int and 1 <= frames <= _MOST_DRAWN else _PREVIEW_FRAMES
        poses = DrawnPath.from_page(value).poses(count)
    except ValueError as error:
        return json.dumps({"cameras": [], "drawing": "", "problem": str(error)})
    drawing = path_drawing(poses, "The drawn path from the side", shown=9, frustum=0.13)
    return json.dumps({"cameras": map_cameras(poses), "drawing": drawing, "problem": ""})


def _whole(value: Any, name: str) -> int | None:
    if value is None or value == "":
        return None
    number = _number(value, name)
    if not number.is_integer():
        raise ValueError(f"{name}: expected a whole number, got {value}; change it and start again")
    return int(number)


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: expected a number; change it and start again") from error
