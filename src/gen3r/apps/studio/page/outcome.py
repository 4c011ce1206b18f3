"""What comes out: the run that goes on, its results, and earlier runs."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from gen3r.apps.studio.page.assets import asset
from gen3r.apps.studio.page.examples import welcome_html
from gen3r.apps.studio.page.history import HISTORY_SCRIPT
from gen3r.apps.studio.page.html import plain_html
from gen3r.apps.studio.page.results import RESULTS_SCRIPT, archive_formats
from gen3r.apps.studio.service import Studio


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The components in reading order."""

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


def build_outcome(studio: Studio) -> Outcome:
    """The run that goes on, what came of it, and earlier ones."""
    said = plain_html("", elem_id="said", js_on_load='element.setAttribute("role", "status")')
    card = plain_html("", elem_id="card")
    cancel = gr.Button("Cancel", visible=False, elem_id="cancel", min_width=120)
    welcome = plain_html(welcome_html(), elem_id="welcome")
    with gr.Column(visible=False, elem_id="results") as results, gr.Tabs(elem_id="tabs"):
        with gr.Tab("3D", elem_id="tab-cloud"):
            cloud = plain_html(None, html_template=asset("cloud.html"), js_on_load=asset("cloud.js"), elem_id="cloud")
        with gr.Tab("Video", elem_id="tab-video"):
            video = plain_html("", elem_id="video")
        with gr.Tab("Depth", elem_id="tab-depth"):
            depth = plain_html("", elem_id="depth")
        with gr.Tab("Cameras", elem_id="tab-cameras"):
            cameras = plain_html("", elem_id="cameras")
        with gr.Tab("Files", elem_id="tab-files"):
            files = plain_html("", elem_id="single-files")
            known = archive_formats(studio)
            formats = gr.CheckboxGroup(known, value=[name for _, name in known], label="In the zip", elem_id="formats")
            pack = gr.Button("Make the zip", elem_id="pack")
            packed = plain_html("", js_on_load=asset("fresh_link.js"), elem_id="packed")
        with gr.Tab("Repeat", elem_id="tab-repeat"):
            repeat = plain_html("", js_on_load=RESULTS_SCRIPT, elem_id="repeat")
    plain_html("<h2>Your scenes</h2>", elem_id="history-head")
    history = plain_html("", js_on_load=HISTORY_SCRIPT, elem_id="history")
    return Outcome(
        card=card, said=said, cancel=cancel, welcome=welcome, results=results, video=video, depth=depth, cloud=cloud,
        cameras=cameras, files=files, formats=formats, pack=pack, packed=packed, repeat=repeat, history=history,
    )  # fmt: skip
