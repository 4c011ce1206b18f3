"""The views that will be used, as thumbnails in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from gen3r.apps.studio.jobs import Upload

STRIP_SCRIPT = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (button) trigger("select", { action: button.dataset.do, index: Number(button.dataset.index) });
});
"""


@dataclass(frozen=True, kw_only=True)
class ChosenView:
    """An upload and its small picture."""

    upload: Upload
    """What the studio knows of it."""
    thumbnail: str
    """A data URL."""


def strip_html(views: Sequence[ChosenView]) -> str:
    """Thumbnails with buttons to move one to the front and to remove it."""
    if not views:
        return ""
    items = []
    for index, view in enumerate(views):
        upload, name = view.upload, escape(view.upload.name)
        role = "video" if upload.kind == "video" else _role(index, len(views))
        size = f"{upload.width} × {upload.height}" + (f", {upload.frames} frames" if upload.kind == "video" else "")
        first = _button("first", index, f"Make {name} the first view", "⇤") if index else ""
        remove = _button("remove", index, f"Remove {name}", "×")
        items.append(
            f'<li><img src="{view.thumbnail}" alt="{name}"><span class="view-role">{role}</span>'
            f'<span class="view-size">{size}</span><span class="view-tools">{first}{remove}</span></li>'
        )
    return f'<ul class="views" aria-label="Chosen views">{"".join(items)}</ul>'


def _button(action: str, index: int, label: str, sign: str) -> str:
    return f'<button type="button" data-do="{action}" data-index="{index}" aria-label="{label}">{sign}</button>'


def _role(index: int, count: int) -> str:
    if index == 0:
        return "first frame"
    return "last frame" if index == count - 1 == 1 else f"view {index + 1}"
