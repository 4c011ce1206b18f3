"""What goes in: views, words, a camera path and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from gen3r.apps.studio.page.actions import WISHES, path_preview
from gen3r.apps.studio.page.assets import asset
from gen3r.apps.studio.page.examples import EXAMPLES_SCRIPT, examples_html
from gen3r.apps.studio.page.html import plain_html
from gen3r.apps.studio.page.model_settings import most_of, settings_of
from gen3r.apps.studio.page.trajectory_choice import choice_html
from gen3r.apps.studio.page.uploads_strip import STRIP_SCRIPT
from gen3r.apps.studio.service import Studio

_TOGGLE = '<button type="button" aria-expanded="false" aria-controls="settings">More settings</button>'
_TOGGLE_SCRIPT = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) button.setAttribute("aria-expanded", button.getAttribute("aria-expanded") !== "true");
});
"""
"""An accordion of gradio's makes what it holds when it opens, and then forgets what is typed at once."""
FIRST_PATH = "orbit_right"
"""The camera path that is chosen at first."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The components in reading order."""

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
        return [getattr(self, name) for name in WISHES]


def build_form(studio: Studio) -> Form:
    """Views, words, path, button, settings."""
    models = studio.models()
    settings = settings_of(models[0]) if models else settings_of("tiny")
    files = gr.File(label="Photos, or a video", file_count="multiple", height=132, elem_id="files")
    strip = plain_html("", js_on_load=STRIP_SCRIPT, elem_id="views")
    examples = plain_html(examples_html(), js_on_load=EXAMPLES_SCRIPT, elem_id="examples")
    prompt = gr.Textbox(
        label="What to see (optional)", lines=2, max_lines=6, placeholder="a house by the sea", elem_id="prompt"
    )
    trajectory = plain_html(
        FIRST_PATH,
        html_template=choice_html(FIRST_PATH),
        js_on_load=asset("trajectory_choice.js"),
        elem_id="trajectory",
    )
    drawn = plain_html(
        {"keys": [], "look": "subject"},
        html_template=asset("path_map.html").replace("FRAMES", str(settings.frames)),
        js_on_load=asset("path_map.js"),
        server_functions=[path_preview],
        elem_id="path-map",
    )
    make = gr.Button("Make the scene", variant="primary", size="lg", elem_id="make")
    plain_html(_TOGGLE, js_on_load=_TOGGLE_SCRIPT, elem_id="settings-toggle")
    with gr.Column(elem_id="settings"):
        kind = gr.Radio(
            [("Generate new frames", "generate"), ("Only reconstruct what the views show", "reconstruct")],
            value="generate",
            label="What to do",
            elem_id="kind",
        )
        model = gr.Dropdown(
            models, value=models[0] if models else None, label="Model", filterable=False, elem_id="model"
        )
        most_frames, most_steps = most_of(settings, studio.limits)
        frames = gr.Slider(1, most_frames, value=settings.frames, step=4, label="Frames", elem_id="frames")
        steps = gr.Slider(1, most_steps, value=settings.steps, step=1, label="Steps", elem_id="steps")
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
            dice = gr.Button("New seed", elem_id="dice", size="sm", scale=1, min_width=100)
    return Form(
        files=files, strip=strip, examples=examples, kind=kind, prompt=prompt, trajectory=trajectory, drawn=drawn,
        make=make, model=model, frames=frames, steps=steps, guidance=guidance, seed=seed, dice=dice,
    )  # fmt: skip
