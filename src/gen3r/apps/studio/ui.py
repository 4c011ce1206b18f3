"""The studio's page, and how it is served."""

from __future__ import annotations

import os

import gradio as gr
from fastapi import FastAPI

from gen3r.apps.studio.page.assets import asset
from gen3r.apps.studio.page.form import build_form
from gen3r.apps.studio.page.html import plain_html
from gen3r.apps.studio.page.outcome import build_outcome
from gen3r.apps.studio.page.theme import THEME
from gen3r.apps.studio.page.wiring import connect
from gen3r.apps.studio.service import Studio

DAY = 86_400


def build_ui(studio: Studio) -> gr.Blocks:
    """The page of a studio. Nothing in it is fetched from elsewhere, and nothing is told to anybody."""
    with gr.Blocks(title="Gen3R Studio", analytics_enabled=False, fill_width=True, delete_cache=(DAY, DAY)) as blocks:
        plain_html(asset("header.html"), elem_id="header")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=0, min_width=300, elem_id="form"):
                form = build_form(studio)
            with gr.Column(scale=1, min_width=300, elem_id="outcome"):
                outcome = build_outcome(studio)
        connect(studio, blocks, form, outcome)
    return blocks


def mount_ui(app: FastAPI, studio: Studio, path: str = "/") -> FastAPI:
    """Serve the page from an application that has its other routes already.

    Files on their way to and from browsers are kept below the studio's root, which is private to the user.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(studio.folders.root / "page")  # the only way to tell gradio
    blocks = build_ui(studio)
    # As `launch` does. Without the first, gradio copies any file a client names to where the client can read it;
    # without the second, it shows uploaded SVG files, and their scripts, as pages of this address.
    blocks.has_launched = blocks.is_running = True
    return gr.mount_gradio_app(
        app,
        blocks,
        path,
        theme=THEME,
        css=asset("studio.css"),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=studio.limits.upload_bytes,
    )
