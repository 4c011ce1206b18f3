"""Times and states in plain words."""

from __future__ import annotations

import time

from gen3r.apps.studio.jobs import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job
from gen3r.apps.studio.page.trajectory_choice import DRAWN, FREE, choices

STATES = {QUEUED: "Waiting", RUNNING: "Working", DONE: "Done", FAILED: "Did not work", CANCELLED: "Cancelled"}


def duration(seconds: float) -> str:
    """Seconds as people say them: 4 s, 2 min 5 s, 1 h 12 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def ago(moment: float, now: float | None = None) -> str:
    """How long ago a time (seconds since 1970) was: just now, 5 min ago, 3 h ago, or the day."""
    passed = (time.time() if now is None else now) - moment
    if passed < 60:
        return "just now"
    if passed < 3600:
        return f"{int(passed // 60)} min ago"
    if passed < 86400:
        return f"{int(passed // 3600)} h ago"
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def title(job: Job) -> str:
    """A run in a few words: its prompt, or what was done with how many views."""
    request = job.request
    if request.prompt:
        return request.prompt
    count = len(request.uploads)
    of = f"{count} uploads" if count > 1 else "one upload"
    return f"{'Reconstruction' if request.kind == 'reconstruct' else 'Scene'} from {of}"


def details(job: Job) -> str:
    """The camera path and the seed of a run."""
    request = job.request
    if request.kind == "reconstruct":
        return "reconstructed"
    path = DRAWN if request.camera_path is not None else request.trajectory
    words = {DRAWN: "drawn path", FREE: "model's own path"}.get(path, choices().get(path, path).lower())
    return f"{words}, seed {request.seed}"
