"""How a run is going: a card to look at, and the few words a screen reader should say."""

from __future__ import annotations

from html import escape
from pathlib import Path

from gen3r.apps.studio.errors import QueueFull, StudioError
from gen3r.apps.studio.jobs import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job
from gen3r.apps.studio.page.pictures import data_url
from gen3r.apps.studio.page.words import duration, title

_PREVIEW_SIDE = 420


def progress_card(job: Job, preview: Path | None) -> str:
    """The card of a run: bar, words, time left and what the last frame looks like so far; of a finished one, a line."""
    if job.state == QUEUED:
        place = job.queue_position or 1
        line = "Next in the queue" if place == 1 else f"Number {place} in the queue"
        return _card(job.state, line, "It starts as soon as the runs before it are through.", _bar(job))
    if job.state == RUNNING:
        left = (
            f"about {duration(job.eta_seconds)} left" if job.eta_seconds is not None else "time left is not known yet"
        )
        steps = f"Step {job.done} of {job.total}" if job.total else "Working"
        line = _sentence(f"{job.message or 'working'}, {left}")
        return _card(job.state, steps, line, _bar(job), _picture(preview) or _awaited(job))
    if job.state == DONE:
        took = duration((job.finished or 0) - (job.started or job.finished or 0))
        return _card(job.state, "Done", f"{title(job)} · {took}")
    if job.state == CANCELLED:
        return _card(job.state, "Cancelled", "Nothing was kept of this run. Change what you like and start again.")
    return problem_card(
        "This run did not work", job.error or "The reason is not known.", "Change the settings or try again."
    )


def problem_card(head: str, problem: str, advice: str = "") -> str:
    """What is wrong and what to do, spoken at once by a screen reader."""
    more = f"<p>{escape(_sentence(advice))}</p>" if advice else ""
    text = f"<h2>{escape(head)}</h2><p>{escape(_sentence(problem))}</p>{more}"
    return f'<div class="run-card problem" role="alert">{text}</div>'


def error_card(error: Exception, head: str = "This cannot start yet") -> str:
    """The card of something that the studio refuses."""
    if isinstance(error, QueueFull):
        head = "The studio is busy"
    if isinstance(error, StudioError):
        return problem_card(head, error.problem, error.hint)
    if isinstance(error, OSError):  # its words name folders of this machine
        return problem_card(
            head, f"a file cannot be read or written: {error.strerror}", "try again, or reload the page"
        )
    problem, _, advice = str(error).partition("; ")
    return problem_card(head, problem, advice)


def announcement(job: Job) -> str:
    """What to say about a run: changes at milestones only, so that nobody is talked to without end."""
    if job.state == RUNNING:
        quarter = 4 * job.done // job.total if job.total else 0
        return f"The scene is being made, {25 * quarter} percent." if quarter else "The scene is being made."
    return {
        QUEUED: "The scene waits in the queue.",
        DONE: "The scene is ready.",
        FAILED: "The scene did not work out.",
        CANCELLED: "The run was cancelled.",
    }[job.state]


def _card(state: str, head: str, line: str, *more: str) -> str:
    return f'<div class="run-card {escape(state)}"><h2>{escape(head)}</h2><p>{escape(line)}</p>{"".join(more)}</div>'


def _bar(job: Job) -> str:
    if not job.total:
        return '<progress aria-label="Progress"></progress>'
    return f'<progress aria-label="Progress" max="{job.total}" value="{job.done}"></progress>'


def _picture(preview: Path | None) -> str:
    if preview is None:
        return ""
    try:
        source = data_url(preview, _PREVIEW_SIDE)
    except OSError:  # the next step is just replacing it
        return ""
    picture = f'<img src="{source}" alt="The last frame as it looks so far">'
    return f"<figure>{picture}<figcaption>The last frame so far</figcaption></figure>"


def _awaited(job: Job) -> str:
    words = "The last frame is seen here after the first step"
    if job.request.kind == "reconstruct":
        words = "The scene is seen here as soon as it is ready"
    return f'<figure><div class="awaited" aria-hidden="true"></div><figcaption>{words}</figcaption></figure>'


def _sentence(words: str) -> str:
    words = words.strip()
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) or not words else ".")
