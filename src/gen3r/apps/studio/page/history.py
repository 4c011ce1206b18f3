"""The list of earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gen3r.apps.studio.jobs import DONE, Job
from gen3r.apps.studio.page.pictures import data_url
from gen3r.apps.studio.page.words import STATES, ago, details, title
from gen3r.apps.studio.service import Studio

MOST_SHOWN = 40
"""Runs in the list, newest first."""
_THUMBNAIL = 144

HISTORY_SCRIPT = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-job]");
  if (button) trigger("select", { job: button.dataset.job });
});
"""


def history_html(studio: Studio, session: str, jobs: Sequence[Job], shown: str | None) -> str:
    """One button per run; the one that is shown is marked."""
    if not jobs:
        return '<p class="hint">Scenes you make appear here, also after a restart. Only this browser sees them.</p>'
    rows = []
    for job in jobs[:MOST_SHOWN]:
        current = ' aria-current="true"' if job.id == shown else ""
        rows.append(
            f'<li><button type="button" data-job="{escape(job.id)}"{current}>{_thumbnail(studio, session, job)}'
            f'<span class="run-words"><strong>{escape(title(job))}</strong>'
            f"<span>{escape(details(job))}</span>"
            f'<span class="run-state {escape(job.state)}">{STATES[job.state]} · {ago(job.created)}</span>'
            "</span></button></li>"
        )
    return f'<ul class="runs">{"".join(rows)}</ul>'


def _thumbnail(studio: Studio, session: str, job: Job) -> str:
    if job.state == DONE and "rgb.mp4" in job.results:
        try:
            source = data_url(studio.result(session, job.id, "rgb.mp4"), _THUMBNAIL, video=True)
        except (ValueError, OSError):  # cleared away meanwhile
            source = ""
        if source:
            return f'<img src="{source}" alt="">'
    return '<span class="no-picture" aria-hidden="true"></span>'
