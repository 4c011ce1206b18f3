"""Colours and letters: those of the system, with enough contrast in light and dark."""

from __future__ import annotations

import gradio as gr

_TEXT = ("Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "DejaVu Sans", "sans-serif")
_CODE = ("Cascadia Code", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")

THEME = gr.themes.Default(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="slate",
    radius_size="md",
    font=[gr.themes.Font(name) for name in _TEXT],
    font_mono=[gr.themes.Font(name) for name in _CODE],
).set(
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_600",
    button_primary_text_color="white",
    button_primary_text_color_dark="white",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
)
