"""The page: its components in reading order, and which of them an action reads and changes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from gen3r.apps.studio.errors import StudioError
from gen3r.apps.studio.page import actions
from gen3r.apps.studio.page.assets import asset
from gen3r.apps.studio.page.examples import EXAMPLES_SCRIPT, examples_html
from gen3r.apps.studio.page.files import address
from gen3r.apps.studio.page.history import HISTORY_SCRIPT
from gen3r.apps.studio.page.model_settings import settings_of
from gen3r.apps.studio.page.progress import error_card
from gen3r.apps.studio.page.results import RESULTS_SCRIPT, archive_formats, archive_link, shown_scene
from gen3r.apps.studio.page.trajectory_choice import choice_html
from gen3r.apps.studio.page.uploads_strip import STRIP_SCRIPT, strip_html
from gen3r.apps.studio.service import Studio

FIRST_PATH = "orbit_right"
"""The camera path that is chosen at first."""
LARGEST_DRAWN_SEED = 999_999
ASK_EVERY = 0.6
"""Seconds between two looks at a run."""
STORAGE_KEY = "gen3r-studio-session"
_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}


@dataclass(frozen=True, kw_only=True)
class Form:
    """The components of the left side."""

    files: gr.File
    strip: gr.HTML
    examples: gr.HTML
    kind: gr.Radio
    prompt: gr.Textbox
    trajectory: gr.HTML
    drawn: gr.HTML
    make: gr.Button
    model: gr.Dropdown
    frames: gr.Slider
    steps: gr.Slider
    guidance: gr.Slider
    seed: gr.Number
    dice: gr.Button

    @property
    def wishes(self) -> list[Any]:
        """Components whose values are a `Wishes`, in its order."""
        return [
            self.kind,
            self.prompt,
            self.trajectory,
            self.drawn,
            self.frames,
            self.steps,
            self.guidance,
            self.seed,
            self.model,
        ]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The components of the right side."""

    card: gr.HTML
    said: gr.HTML
    cancel: gr.Button
    welcome: gr.HTML
    results: gr.Column
    video: gr.HTML
    depth: gr.HTML
    cloud: gr.HTML
    cameras: gr.HTML
    files: gr.HTML
    formats: gr.CheckboxGroup
    pack: gr.Button
    packed: gr.HTML
    repeat: gr.HTML
    history: gr.HTML


def build_form(studio: Studio) -> Form:
    """Views, words, path, button, settings."""
    models = studio.models()
    settings = settings_of(models[0]) if models else settings_of("tiny")
    limits = studio.limits
    files = gr.File(
        label="Photos, or a video", file_count="multiple", file_types=["image", "video"], height=132, elem_id="files"
    )
    strip = _html("", js_on_load=STRIP_SCRIPT, elem_id="views")
    examples = _html(examples_html(), js_on_load=EXAMPLES_SCRIPT, elem_id="examples")
    prompt = gr.Textbox(
        label="What to see (optional)", lines=2, max_lines=6, placeholder="a house by the sea", elem_id="prompt"
    )
    trajectory = _html(
        FIRST_PATH,
        html_template=choice_html(FIRST_PATH),
        js_on_load=asset("trajectory_choice.js"),
        elem_id="trajectory",
    )
    drawn = _html(
        {"keys": [], "look": "subject"},
        html_template=asset("path_map.html"),
        js_on_load=asset("path_map.js"),
        server_functions=[actions.path_preview],
        elem_id="path-map",
    )
    make = gr.Button("Make the scene", variant="primary", size="lg", elem_id="make")
    with gr.Accordion("More settings", open=False, elem_id="settings"):
        kind = gr.Radio(
            [("Generate new frames", "generate"), ("Only reconstruct what the views show", "reconstruct")],
            value="generate",
            label="What to do",
            elem_id="kind",
        )
        model = gr.Dropdown(
            models, value=models[0] if models else None, label="Model", filterable=False, elem_id="model"
        )
        frames = gr.Slider(1, _grid(limits.frames), value=settings.frames, step=4, label="Frames", elem_id="frames")
        steps = gr.Slider(1, limits.steps, value=settings.steps, step=1, label="Steps", elem_id="steps")
        guidance = gr.Slider(
            0,
            15,
            value=settings.guidance,
            step=0.5,
            label="Guidance",
            info="Weight of the words; 1 is off.",
            elem_id="guidance",
        )
        with gr.Row(elem_id="seed-row"):
            seed = gr.Number(
                0, label="Seed", precision=0, minimum=0, info="Same seed, same scene.", elem_id="seed", scale=3
            )
            dice = gr.Button("Roll the dice", elem_id="dice", scale=1, min_width=110)
    return Form(
        files=files, strip=strip, examples=examples, kind=kind, prompt=prompt, trajectory=trajectory, drawn=drawn,
        make=make, model=model, frames=frames, steps=steps, guidance=guidance, seed=seed, dice=dice,
    )  # fmt: skip


def build_outcome(studio: Studio) -> Outcome:
    """The run that goes on, what came of it, and earlier ones."""
    said = _html("", elem_id="said", js_on_load='element.setAttribute("role", "status")')
    card = _html("", elem_id="card")
    cancel = gr.Button("Cancel", visible=False, elem_id="cancel", min_width=120)
    welcome = _html(asset("welcome.html"), elem_id="welcome")
    with gr.Column(visible=False, elem_id="results") as results, gr.Tabs(elem_id="tabs"):
        with gr.Tab("3D", elem_id="tab-cloud"):
            cloud = _html(None, html_template=asset("cloud.html"), js_on_load=asset("cloud.js"), elem_id="cloud")
        with gr.Tab("Video", elem_id="tab-video"):
            video = _html("", elem_id="video")
        with gr.Tab("Depth", elem_id="tab-depth"):
            depth = _html("", elem_id="depth")
        with gr.Tab("Cameras", elem_id="tab-cameras"):
            cameras = _html("", elem_id="cameras")
        with gr.Tab("Download", elem_id="tab-files"):
            files = _html("", elem_id="single-files")
            known = archive_formats(studio)
            formats = gr.CheckboxGroup(known, value=[name for _, name in known], label="In the zip", elem_id="formats")
            pack = gr.Button("Make the zip", elem_id="pack")
            packed = _html("", js_on_load=asset("fresh_link.js"), elem_id="packed")
        with gr.Tab("Repeat", elem_id="tab-repeat"):
            repeat = _html("", js_on_load=RESULTS_SCRIPT, elem_id="repeat")
    _html("<h2>Your scenes</h2>", elem_id="history-head")
    history = _html("", js_on_load=HISTORY_SCRIPT, elem_id="history")
    return Outcome(
        card=card, said=said, cancel=cancel, welcome=welcome, results=results, video=video, depth=depth, cloud=cloud,
        cameras=cameras, files=files, formats=formats, pack=pack, packed=packed, repeat=repeat, history=history,
    )  # fmt: skip


def connect(studio: Studio, blocks: gr.Blocks, form: Form, outcome: Outcome) -> None:
    """Which action each use of a component starts."""
    session = gr.BrowserState(None, storage_key=STORAGE_KEY, secret=STORAGE_KEY)  # random secrets die with the server
    views, current, shown = gr.State([]), gr.State(None), gr.State(None)
    timer = gr.Timer(ASK_EVERY, active=False)
    tabs = [outcome.video, outcome.depth, outcome.cloud, outcome.cameras, outcome.files, outcome.repeat, outcome.packed]
    live = [
        outcome.card,
        outcome.said,
        outcome.history,
        outcome.cancel,
        timer,
        outcome.welcome,
        shown,
        outcome.results,
        *tabs,
    ]

    def live_values(key: str, job: str | None, before: str | None) -> list[Any]:
        """Values for `live`; the results are sent only when others are to be seen than before."""
        now = actions.standing(studio, key, job)
        values = [now.card, now.said, now.history, gr.update(visible=now.running), gr.update(active=now.busy)]
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

    def look(key: Any, job: str | None, before: str | None) -> list[Any]:
        try:
            return live_values(key, job, before)
        except StudioError:  # the session has been cleared away: the next load begins a new one
            return [gr.skip() for _ in live]

    def add(key: Any, before: list[Any], files: list[str] | None) -> list[Any]:
        key = actions.known_session(studio, key)
        now, problems = actions.taken_views(studio, key, before, [Path(file) for file in files or []])
        return [key, now, strip_html(now), None, problems]

    def change(before: list[Any], event: gr.EventData) -> list[Any]:
        now = actions.changed_views(before, event._data)
        return [now, strip_html(now)]

    def take(key: Any, event: gr.EventData) -> list[Any]:
        key, example = actions.known_session(studio, key), actions.wanted_example(event._data)
        if example is None:
            return [gr.skip() for _ in range(7)]
        now, problems = actions.taken_views(studio, key, [], example.paths)
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
        if job is not None:
            studio.cancel(key, job)
        return live_values(key, job, before)

    def open_run(key: Any, before: str | None, event: gr.EventData) -> list[Any]:
        job = event._data.get("job")
        job = job if any(job == known.id for known in studio.jobs(key)) else None
        return [job, *live_values(key, job, before)]

    def pack(key: Any, job: str | None, formats: list[str]) -> str:
        try:
            archive = studio.archive(key, job or "", formats)
        except ValueError as error:
            return error_card(error, "The zip could not be made")
        return archive_link(address(archive, blocks.GRADIO_CACHE), "gen3r_scene.zip")

    def model_settings(name: str) -> list[Any]:
        settings = settings_of(name)
        return [settings.frames, settings.steps, settings.guidance]

    blocks.load(begin, [session], [session, current, *live], **_QUIET)
    timer.tick(look, [session, current, shown], live, **_QUIET)
    form.files.upload(
        add, [session, views, form.files], [session, views, form.strip, form.files, outcome.card], **_QUIET
    )
    form.strip.select(change, [views], [views, form.strip], **_QUIET)
    form.examples.select(
        take,
        [session],
        [session, views, form.strip, outcome.card, form.prompt, form.trajectory, form.kind],
        **_QUIET,
    )
    form.make.click(make, [session, shown, views, *form.wishes], [session, current, *live], **_QUIET)
    form.dice.click(lambda: random.randint(0, LARGEST_DRAWN_SEED), None, form.seed, **_QUIET)
    form.model.change(model_settings, form.model, [form.frames, form.steps, form.guidance], **_QUIET)
    outcome.cancel.click(cancel, [session, current, shown], live, **_QUIET)
    outcome.history.select(open_run, [session, shown], [current, *live], **_QUIET)
    outcome.pack.click(
        pack, [session, shown, outcome.formats], outcome.packed, show_progress="minimal", api_visibility="private"
    )


def _html(value: Any, **options: Any) -> gr.HTML:
    """HTML of our own, without gradio's styles for prose."""
    return gr.HTML(value, apply_default_css=False, **options)


def _grid(most: int) -> int:
    """The longest clip of 4k+1 frames that is allowed."""
    return (most - 1) // 4 * 4 + 1
