"""HTML of our own on the page."""

from __future__ import annotations

from typing import Any

import gradio as gr


def plain_html(value: Any, **options: Any) -> gr.HTML:
    """An HTML component without gradio's styles for prose."""
    return gr.HTML(value, apply_default_css=False, **options)
