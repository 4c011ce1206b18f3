"""Which action each use of a component starts, and where what comes of it goes."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import gradio as gr

from gen3r.apps.studio.errors import StudioError
from gen3r.apps.studio.page import actions
from gen3r.apps.studio.page.files import address, arrived
from gen3r.apps.studio.page.form import Form
from gen3r.apps.studio.page.model_settings import most_of, settings_of
from gen3r.apps.studio.page.outcome import Outcome
from gen3r.apps.studio.page.progress import error_card
from gen3r.apps.studio.page.results import archive_link, shown_scene
from gen3r.apps.studio.page.uploads_strip import strip_html
from gen3r.apps.studio.service import Studio

LARGEST_DRAWN_SEED = 999_999
ASK_EVERY = 0.6
"""Seconds between two looks at a run."""
STORAGE_KEY = "gen3r-studio-session"
SCROLL_SCRIPT = """() => {
  const outcome = document.querySelector("#outcome");
  if (outcome.getBoundingClientRect().top < 0 || innerWidth <= 900) outcome.scrollIntoView({ block: "start" });
}"""
"""On a narrow screen the outcome is below the form, and on any the list is below the outcome."""
_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}


def _kindly(action: Callable[..., list[Any]], outputs: list[Any], card: Any) -> Callable[..., list[Any]]:
    """The action; what goes wrong in it is said on the card, and the rest of the page stays as it is."""

    @functools.wraps(action)
    def said(*values: Any) -> list[Any]:
        try:
            return action(*values)
        except (StudioError, OSError) as error:
            problem = error_card(error, "That cannot be done")
            return [problem if output is card else gr.skip() for output in outputs]

    return said


def connect(studio: Studio, blocks: gr.Blocks, form: Form, outcome: Outcome) -> None:
    """Which action each use of a component starts."""
    session = gr.BrowserState(None, storage_key=STORAGE_KEY, secret=STORAGE_KEY)  # random secrets die with the server
    views, current, shown, listed = gr.State([]), gr.State(None), gr.State(None), gr.State(None)
    timer = gr.Timer(ASK_EVERY, active=False)
    tabs = [outcome.video, outcome.depth, outcome.cloud, outcome.cameras, outcome.files, outcome.repeat, outcome.packed]
    status = [outcome.card, outcome.said, outcome.history, listed, outcome.cancel, timer, outcome.welcome, shown]
    live = [*status, outcome.results, *tabs]

    def live_values(key: str, job: str | None, before: str | None, list_before: str | None = None) -> list[Any]:
        """Values for `live`; results and list are sent only when others are to be seen than before."""
        now = actions.standing(studio, key, job, list_before)
        history = gr.skip() if now.history is None else now.history
        values = [now.card, now.said, history, now.listed, gr.update(visible=now.running), gr.update(active=now.busy)]
        values += [gr.update(visible=job is None), now.shown]
        if now.shown is None:
            return [*values, gr.update(visible=False), *[gr.skip() for _ in tabs]]
        if now.shown == before:
            return [*values, gr.skip(), *[gr.skip() for _ in tabs]]
        scene = shown_scene(studio, key, studio.job(key, now.shown), blocks.GRADIO_CACHE)
        return [
            *values, gr.update(visible=True),
            scene.video, scene.depth, scene.cloud, scene.cameras, scene.files, scene.repeat, "",
        ]  # fmt: skip

    def begin(key: Any) -> list[Any]:
        key = actions.known_session(studio, key)
        job = actions.current_run(studio, key)
        return [key, job, *live_values(key, job, None)]

    def look(key: Any, job: str | None, before: str | None, list_before: str | None) -> list[Any]:
        try:
            return live_values(actions.own_session(key), job, before, list_before)
        except (StudioError, OSError) as error:  # cleared away: there is nothing more to ask for
            problem, stopped = error_card(error, "That cannot be shown"), gr.update(active=False)
            return [{outcome.card: problem, timer: stopped}.get(output, gr.skip()) for output in live]

    def add(key: Any, before: list[Any], files: list[dict[str, Any]] | None) -> list[Any]:
        key = actions.known_session(studio, key)
        with arrived(files, blocks.GRADIO_CACHE) as paths:
            now, problems = actions.taken_views(studio, key, before, paths)
        return [key, now, strip_html(now), None, problems]

    def change(key: Any, before: list[Any], event: gr.EventData) -> list[Any]:
        now = actions.changed_views(before, actions.event_values(event))
        actions.forget_views(studio, actions.own_session(key), [view for view in before if view not in now])
        return [now, strip_html(now), gr.skip()]

    def take(key: Any, event: gr.EventData) -> list[Any]:
        key, example = actions.known_session(studio, key), actions.wanted_example(actions.event_values(event))
        if example is None:
            return [gr.skip() for _ in range(7)]
        now, problems = actions.example_views(studio, key, example)
        return [key, now, strip_html(now), problems, example.prompt, example.trajectory, example.kind]

    def make(key: Any, before: str | None, chosen: list[Any], *wishes: Any) -> list[Any]:
        key = actions.known_session(studio, key)
        try:
            request = actions.job_request(chosen, actions.Wishes(**dict(zip(actions.WISHES, wishes, strict=True))))
            job = studio.submit(key, request).id
        except ValueError as error:
            return [key, gr.skip(), error_card(error), *[gr.skip() for _ in live[1:]]]
        return [key, job, *live_values(key, job, before)]

    def cancel(key: Any, job: str | None, before: str | None) -> list[Any]:
        key = actions.own_session(key)
        if job is not None:
            studio.cancel(key, job)
        return live_values(key, job, before)

    def open_run(key: Any, before: str | None, event: gr.EventData) -> list[Any]:
        key, job = actions.own_session(key), actions.event_values(event).get("job")
        job = job if any(job == known.id for known in studio.jobs(key)) else None
        return [job, *live_values(key, job, before)]

    def pack(key: Any, job: str | None, formats: list[str]) -> str:
        try:
            archive = studio.archive(actions.own_session(key), job or "", formats)
        except (ValueError, RuntimeError, OSError) as error:
            return error_card(error, "The zip could not be made; choose fewer formats")
        return archive_link(address(archive, blocks.GRADIO_CACHE), "gen3r_scene.zip")

    def model_settings(name: str) -> list[Any]:
        settings = settings_of(name)
        most_frames, most_steps = most_of(settings, studio.limits)
        frames = gr.update(value=settings.frames, maximum=most_frames)
        return [frames, gr.update(value=settings.steps, maximum=most_steps), settings.guidance]

    def on(event: Any, action: Callable[..., list[Any]], inputs: list[Any], outputs: list[Any], **options: Any) -> Any:
        return event(_kindly(action, outputs, outcome.card), inputs, outputs, **options, **_QUIET)

    on(blocks.load, begin, [session], [session, current, *live])
    timer.tick(look, [session, current, shown, listed], live, **_QUIET)
    added = [session, views, form.strip, form.files, outcome.card]
    on(form.files.upload, add, [session, views, form.files], added, preprocess=False)
    on(form.strip.select, change, [session, views], [views, form.strip, outcome.card])
    taken = [session, views, form.strip, outcome.card, form.prompt, form.trajectory, form.kind]
    on(form.examples.select, take, [session], taken)
    # What the form holds is checked as a request, with words of our own: gradio's own checks end in a bare error.
    asked = [session, shown, views, *form.wishes]
    on(form.make.click, make, asked, [session, current, *live], preprocess=False).then(None, js=SCROLL_SCRIPT)
    form.dice.click(lambda: random.randint(0, LARGEST_DRAWN_SEED), None, form.seed, **_QUIET)
    form.model.input(model_settings, form.model, [form.frames, form.steps, form.guidance], **_QUIET)
    on(outcome.cancel.click, cancel, [session, current, shown], live)
    on(outcome.history.select, open_run, [session, shown], [current, *live]).then(None, js=SCROLL_SCRIPT)
    outcome.pack.click(
        pack, [session, shown, outcome.formats], outcome.packed, show_progress="minimal", api_visibility="private"
    )
