"""How much one client, one session and the whole studio may take."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of everything a client decides about. The defaults suit one machine and a handful of people."""

    upload_bytes: int = 200_000_000
    """Size of one file."""
    picture_pixels: int = 50_000_000
    """Pixels of one picture, told from its header before anything is decoded."""
    video_pixels: int = 4096 * 2304
    """Pixels of one frame of a video."""
    video_seconds: float = 120.0
    """Length of a video, in time ..."""
    video_frames: int = 7_200
    """... and in frames, counted while decoding."""
    files_per_session: int = 200
    """Uploads that a session keeps."""
    session_bytes: int = 2_000_000_000
    """Bytes of all uploads of a session."""
    page_bytes: int = 5_000_000_000
    """Bytes of files on their way to and from all browsers that the page keeps, above which it takes no more."""
    views_per_job: int = 100
    """Uploads that one job uses."""
    frames: int = 257
    """Length of a generated clip."""
    clip_pixels: int = 81 * 768 * 768
    """Pixels of a generated clip, all frames together."""
    steps: int = 200
    """Denoising steps."""
    prompt_characters: int = 2_000
    """Length of a prompt."""
    queue: int = 20
    """Jobs waiting in all."""
    jobs_per_session: int = 5
    """Jobs of one session that wait or run."""
    history_per_session: int = 200
    """Finished jobs that a session keeps; the oldest go first."""
    sessions: int = 10_000
    """Sessions in all."""
    kept_days: float = 30.0
    """Days after its last use that a session and all in it is deleted; an empty one goes after an hour."""
    attempts: int = 3
    """Times a job is begun whose worker dies under it, before it counts as failed."""
    job_seconds: float = 6 * 3600.0
    """Time that one job may run."""
    free_bytes: int = 500_000_000
    """Room on the disk below which nothing new is taken."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "free_bytes" else 1 if isinstance(value, int) else 0.001
            if value < least:
                raise ValueError(f"the limit {field.name} must be at least {least}, got {value}.")
